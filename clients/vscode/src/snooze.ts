/** Completions are paused for some minutes: none is asked for automatically, only by key. */

import * as vscode from 'vscode';

const MINUTES = [5, 15, 60];

export class Snooze implements vscode.Disposable {
  private until: Date | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onChange = this.changed.event;

  get active(): boolean {
    return this.until !== undefined;
  }

  /** The end as the clock shows it; empty: no snooze. */
  get end(): string {
    return this.until?.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }) ?? '';
  }

  /** Ask for how long. */
  async ask(): Promise<void> {
    const items = MINUTES.map((minutes) => ({ label: vscode.l10n.t('{0} minutes', minutes), minutes }));
    const chosen = await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Snooze completions for how long?') });
    if (chosen) this.start(chosen.minutes);
  }

  start(minutes: number): void {
    clearTimeout(this.timer);
    this.until = new Date(Date.now() + minutes * 60_000);
    this.timer = setTimeout(() => { this.stop(); }, minutes * 60_000);
    this.changed.fire(undefined);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.until = undefined;
    this.changed.fire(undefined);
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.changed.dispose();
  }
}
