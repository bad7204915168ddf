/** As much of the editor as the unit tests need, in its place. */

export enum LogLevel { Off, Trace }
export const Range = undefined;
export enum ViewColumn { Active = -1, Beside = -2 }
export enum ConfigurationTarget { Global = 1 }
export enum ProgressLocation { Notification = 15 }

export class EventEmitter<T> {
  private readonly listeners = new Set<(value: T) => void>();
  readonly event = (listener: (value: T) => void): { dispose: () => void } => {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  };

  fire(value: T): void {
    for (const listener of this.listeners) listener(value);
  }

  dispose(): void {
    this.listeners.clear();
  }
}

/** English, as where nobody has translated anything. */
export const l10n = { t: (text: string, ...values: unknown[]): string => text.replace(/\{(\d)\}/g, (_match, i: string) => String(values[Number(i)])) };

/** What is set, and the way to change it. */
export const settings: Record<string, unknown> = {};
const changed = new EventEmitter<{ affectsConfiguration: (section: string) => boolean }>();
export function set(name: string, value: unknown): void {
  settings[name] = value;
  changed.fire({ affectsConfiguration: (section) => name.startsWith(section) });
}

/** What somebody does in the editor. */
export const selectionChanged = new EventEmitter<unknown>();
export const editorChanged = new EventEmitter<unknown>();
export const optionsChanged = new EventEmitter<unknown>();
export const textChanged = new EventEmitter<unknown>();

export const workspace = {
  onDidChangeTextDocument: textChanged.event,
  getConfiguration: (section: string) => ({ get: (name: string, otherwise: unknown): unknown => settings[`${section}.${name}`] ?? otherwise }),
  onDidChangeConfiguration: changed.event,
};

/** One notification with progress, as a test sees it. */
export interface Notification {
  title: string;
  told: { message?: string; increment?: number }[];
  cancel: () => void;
  closed: boolean;
}
export const notifications: Notification[] = [];

/** Other extensions, by id; none unless a test puts one there. */
export const installed: Record<string, unknown> = {};
export const extensions = { getExtension: (id: string): unknown => installed[id] };

/** Commands that were run. */
export const executed: unknown[][] = [];
export const commands = { executeCommand: (...call: unknown[]): Promise<void> => { executed.push(call); return Promise.resolve(); } };
export const tabsChanged = new EventEmitter<unknown>();


export const window = {
  tabGroups: { onDidChangeTabs: tabsChanged.event },
  activeTextEditor: undefined as unknown,
  onDidChangeTextEditorSelection: selectionChanged.event,
  onDidChangeActiveTextEditor: editorChanged.event,
  onDidChangeTextEditorOptions: optionsChanged.event,
  async withProgress(options: { title: string }, work: (progress: { report: (step: object) => void }, token: { onCancellationRequested: (act: () => void) => void }) => Promise<void>): Promise<void> {
    const one: Notification = { title: options.title, told: [], cancel: () => undefined, closed: false };
    notifications.push(one);
    await work({ report: (step) => one.told.push(step) }, { onCancellationRequested: (act) => { one.cancel = act; } });
    one.closed = true;
  },
};
