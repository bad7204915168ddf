/** The server's long work as notifications that have a Cancel button: the library shows it in the status bar, where nothing can be cancelled. */

import * as vscode from 'vscode';
import type { ProgressToken, WorkDoneProgressBegin, WorkDoneProgressEnd, WorkDoneProgressReport } from 'vscode-languageclient/node';

type Step = WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd;
type Shown = vscode.Progress<{ message?: string; increment?: number }>;

/** What is done sooner shows no notification at all. */
const SHOWN_AFTER_MS = 400;

/** One notification; what is reported before it is on the screen is told when it is. */
class Bar {
  private shown: Shown | undefined;
  private message = '';
  private wanted = 0;
  private told = 0;
  end: () => void = () => undefined;
  readonly ended = new Promise<void>((resolve) => { this.end = resolve; });

  show(shown: Shown): Promise<void> {
    this.shown = shown;
    this.tell();
    return this.ended;
  }

  report(step: WorkDoneProgressReport): void {
    this.message = step.message ?? this.message;
    this.wanted = Math.max(this.wanted, step.percentage ?? 0);
    this.tell();
  }

  private tell(): void {
    this.shown?.report({ message: this.message, increment: this.wanted - this.told });
    if (this.shown) this.told = this.wanted;
  }
}

/** All that is under way. */
export class Bars {
  private readonly bars = new Map<ProgressToken, Bar>();

  private cancelled = false;

  /** While this is true, what begins is shown in the status bar: something else on the screen cancels it. */
  quiet = false;

  constructor(private readonly cancel: (token: ProgressToken) => void) {}

  /** Whether Cancel was pressed since the last call: what then ends is no error. */
  wasCancelled(): boolean {
    const was = this.cancelled;
    this.cancelled = false;
    return was;
  }

  /** Take a step of what can be cancelled; everything else is the library's business. */
  handle(token: ProgressToken, step: Step, next: (token: ProgressToken, step: Step) => void): void {
    const bar = this.bars.get(token);
    if (step.kind === 'begin' && step.cancellable === true && !this.quiet) this.open(token, step.title);
    else if (bar && step.kind === 'report') bar.report(step);
    else if (bar && step.kind === 'end') this.close(token);
    else next(token, step);
  }

  /** The server is gone, and with it all that it did. */
  closeAll(): void {
    for (const token of [...this.bars.keys()]) this.close(token);
  }

  private open(token: ProgressToken, title: string): void {
    const bar = new Bar();
    this.bars.set(token, bar);
    const timer = setTimeout(() => { this.show(token, title, bar); }, SHOWN_AFTER_MS);
    void bar.ended.then(() => { clearTimeout(timer); });
  }

  private show(token: ProgressToken, title: string, bar: Bar): void {
    void vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, (shown, stop) => {
      stop.onCancellationRequested(() => {
        this.cancelled = true;
        this.cancel(token);
      });
      return bar.show(shown);
    });
  }

  private close(token: ProgressToken): void {
    this.bars.get(token)?.end();
    this.bars.delete(token);
  }
}
