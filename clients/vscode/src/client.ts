/** The language client: one running server, its settings, and the single way to ask it something. */

import * as os from 'node:os';
import * as vscode from 'vscode';
import { LanguageClient, LSPErrorCodes, ResponseError, State, WorkDoneProgressCancelNotification, type LanguageClientOptions, type StaticFeature } from 'vscode-languageclient/node';
import { Cursor, type Indentation } from './cursor';
import type { Found } from './find';
import { Bars } from './progress';
import type { Generation, Status } from './protocol';
import { Shown } from './shown';
import { tracing } from './trace';
import { showTrouble, type Trouble } from './trouble';
import { nest } from './words';

/** The documents that the server gets. */
const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell', 'vscode-remote', 'vscode-userdata'];

/** Settings of the extension itself, which the server would not know. */
const OWN = new Set(['server', 'trace']);

/** Commands that the server may ask for, or put into its code actions: `client_commands.py` over there. */
const OWN_COMMANDS = ['infill.chooseModel', 'infill.rewriteSelection', 'infill.showTrouble'];

const ownCommands: StaticFeature = {
  fillClientCapabilities: (capabilities) => { capabilities.experimental = { ...(capabilities.experimental as object | undefined), commands: { commands: OWN_COMMANDS } }; },
  initialize: () => undefined,
  getState: () => ({ kind: 'static' }),
  clear: () => undefined,
};

interface Declared {
  contributes: { configuration: { properties: Record<string, unknown> }[] };
}

/** Settings with an explicit value, by name: a default must not override the server's own settings file. For a document or folder, its folder's. */
export function serverSettings(scope?: vscode.Uri): Record<string, unknown> {
  const extension = vscode.extensions.getExtension<unknown>('infill.infill');
  const declared = (extension?.packageJSON as Declared | undefined)?.contributes.configuration ?? [];
  const set: Record<string, unknown> = {};
  for (const name of declared.flatMap(({ properties }) => Object.keys(properties))) {
    const path = name.split('.').slice(1);
    if (OWN.has(path[0] ?? '')) continue;
    const found = vscode.workspace.getConfiguration(undefined, scope).inspect(name);
    const value = found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue;
    if (value !== undefined) nest(set, path, value);
  }
  return set;
}

/** Whether anything at all may be asked for this document: off means that no request leaves the editor. */
export function isOn(document: vscode.TextDocument): boolean {
  const settings = vscode.workspace.getConfiguration('infill', document);
  return settings.get<boolean>('enabled', true) && settings.get<Record<string, boolean>>('languages')?.[document.languageId] !== false;
}

/** Where what the client hears on the way goes. */
interface Listeners {
  bars: Bars;
  shown: (item: vscode.InlineCompletionItem) => void;
  /** Whether only what is asked for by key is answered. */
  paused: () => boolean;
}

function options(log: vscode.LogOutputChannel, trace: vscode.LogOutputChannel, { bars, shown, paused }: Listeners): LanguageClientOptions {
  return {
    documentSelector: SCHEMES.map((scheme) => ({ scheme })),
    initializationOptions: serverSettings(),
    outputChannel: log,
    traceOutputChannel: trace,
    connectionOptions: { maxRestartCount: 4 },
    middleware: {
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        if (!isOn(document) || (paused() && context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic)) return null;
        const found = await next(document, position, context, token);
        const [first] = Array.isArray(found) ? found : (found?.items ?? []);
        if (first && !token.isCancellationRequested) shown(first);
        return found;
      },
      handleWorkDoneProgress: (token, step, next) => { bars.handle(token, step, next); },
      executeCommand: (command, args, next) => {
        // the walkthrough's last step is done
        if (command === 'infill.didAccept') void vscode.commands.executeCommand('setContext', 'infill.accepted', true);
        return next(command, args) as unknown;
      },
      workspace: {
        configuration: async (params, token, next) => {
          const answers = await next(params, token);
          if (!Array.isArray(answers)) return answers;
          return answers.map((answer: unknown, i) => {
            const { section, scopeUri } = params.items[i] ?? {};
            return section === 'infill' ? serverSettings(scopeUri === undefined ? undefined : vscode.Uri.parse(scopeUri)) : answer;
          });
        },
      },
    },
  };
}

function isCancelled(error: unknown): boolean {
  return error instanceof ResponseError && error.code === LSPErrorCodes.RequestCancelled;
}

export class Server implements vscode.Disposable {
  private client: LanguageClient | undefined;
  private cursor: Cursor | undefined;
  private readonly statusChanged = new vscode.EventEmitter<Status | undefined>();
  private readonly generated = new vscode.EventEmitter<Generation>();
  readonly onStatus = this.statusChanged.event;
  readonly onGeneration = this.generated.event;
  private readonly modelsChanged = new vscode.EventEmitter<undefined>();
  /** Models were added or removed, or a download began or ended. */
  readonly onModelsChanged = this.modelsChanged.event;
  status: Status | undefined;
  /** While this is true, nothing is asked for automatically. */
  paused: () => boolean = () => false;
  /** The server's long work. */
  readonly bars = new Bars((token) => void this.client?.sendNotification(WorkDoneProgressCancelNotification.type, { token }));

  private readonly trace: vscode.LogOutputChannel;
  private readonly shown = new Shown();

  constructor(private readonly log: vscode.LogOutputChannel) {
    this.trace = tracing(log);
  }

  get running(): boolean {
    return this.client?.state === State.Running;
  }

  async start(found: Found, environment: Record<string, string>): Promise<void> {
    const [command = '', ...args] = found.command;
    this.log.info(`infill ${found.version}: ${found.command.join(' ')}`);
    const env = { ...process.env, ...environment };
    const trusted = vscode.workspace.isTrusted ? ['--trust-workspace'] : [];
    const client = new LanguageClient('infill', 'infill', { command, args: [...args, 'lsp', ...trusted], options: { env, cwd: os.homedir() } }, options(this.log, this.trace, { bars: this.bars, shown: (item) => { this.tellShown(item); }, paused: () => this.paused() }));
    client.onNotification('infill/status', (status: Status) => { this.update(status); });
    client.onNotification('infill/generation', (generation: Generation) => { this.generated.fire(generation); });
    client.registerFeature(ownCommands);
    client.onNotification('infill/runCommand', ({ command, arguments: args = [] }: { command: string; arguments?: unknown[] }) => {
      if (command === 'infill.showTrouble') void showTrouble(args[0] as Trouble);
      else if (OWN_COMMANDS.includes(command)) void vscode.commands.executeCommand(command, ...args);
    });
    client.onNotification('infill/modelsChanged', () => { this.modelsChanged.fire(undefined); });
    client.onDidChangeState(({ newState }) => {
      this.cursor?.dispose();
      // after a crash too; the server has all documents only when the start is over, and one that fails is told by the client itself
      if (newState === State.Running) client.start().then(() => { this.follow(); }, () => undefined);
      if (newState !== State.Stopped) return;
      this.bars.closeAll();
      this.update(undefined);
    });
    this.client = client;
    await client.start();
    await vscode.commands.executeCommand('setContext', 'infill.running', true);
  }

  /** Have the model read ahead where the cursor is. */
  private follow(): void {
    if (this.running) this.cursor = new Cursor((document, position, indentation) => { this.tellCursor(document, position, indentation); });
  }

  private tellCursor(document: vscode.TextDocument, position: vscode.Position, options: Indentation): void {
    if (!this.client || !SCHEMES.includes(document.uri.scheme) || !isOn(document) || this.paused()) return;
    const place = this.client.code2ProtocolConverter.asTextDocumentPositionParams(document, position);
    this.client.sendNotification('infill/cursor', { ...place, options }).catch(() => undefined); // the server has exited meanwhile
  }

  /** For the statistics on this machine. */
  private tellShown({ insertText, command }: vscode.InlineCompletionItem): void {
    const text = typeof insertText === 'string' ? insertText : insertText.value;
    if (this.shown.isNew(text)) void this.client?.sendNotification('textDocument/didShowCompletion', { item: { insertText: text, command } });
  }

  private update(status: Status | undefined): void {
    this.status = status;
    this.statusChanged.fire(status);
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.update(undefined);
    await vscode.commands.executeCommand('setContext', 'infill.running', false);
    if (client && client.state !== State.Stopped) await client.stop();
    await client?.dispose();
  }

  /** Run a command of the server. Its errors are sentences: they are shown with buttons for what helps, and the answer is undefined. */
  async ask<Answer>(command: string, argument?: object, token?: vscode.CancellationToken): Promise<Answer | undefined> {
    try {
      return await this.request<Answer>(command, argument, token);
    } catch (error) {
      if (!token?.isCancellationRequested && !isCancelled(error)) this.tell(error);
      return undefined;
    }
  }

  /** The same in the background: an error is logged, and nothing is shown. */
  async look<Answer>(command: string, argument?: object): Promise<Answer | undefined> {
    try {
      return await this.request<Answer>(command, argument);
    } catch (error) {
      this.log.info(`${command}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  private request<Answer>(command: string, argument?: object, token?: vscode.CancellationToken): Promise<Answer> {
    if (!this.client || !this.running) throw new Error(vscode.l10n.t('The infill server is not running.'));
    const params = { command, arguments: argument === undefined ? [] : [argument] };
    // a token that is undefined would be sent as a second parameter
    return token ? this.client.sendRequest<Answer>('workspace/executeCommand', params, token) : this.client.sendRequest<Answer>('workspace/executeCommand', params);
  }

  private tell(error: unknown): void {
    const cancelled = this.bars.wasCancelled();
    const data = error instanceof ResponseError ? (error.data as { error?: string; hint?: string } | undefined) : undefined;
    const whole = error instanceof Error ? error.message : String(error);
    const message = data?.hint ? whole.slice(0, whole.length - data.hint.length).trimEnd() : whole;
    this.log.info(whole); // with the next step for those who use a shell
    void showTrouble({ message, ...(data?.error === undefined ? {} : { error: data.error }), severity: cancelled ? 'info' : 'error' });
  }

  toUri(value: vscode.Uri): string {
    return this.client?.code2ProtocolConverter.asUri(value) ?? value.toString();
  }

  dispose(): void {
    void this.stop();
    this.trace.dispose();
    this.statusChanged.dispose();
    this.generated.dispose();
    this.modelsChanged.dispose();
  }
}
