/** The report page: statistics, two models side by side, saved bench results. A webview without scripts or remote content. */

import * as path from 'node:path';
import * as vscode from 'vscode';
import { benchResults, MOST_BYTES, noResult } from './bench';
import type { Server } from './client';
import { escape, page, section } from './html';
import { nameOf, pairOf, sideBySide, totals, type Statistics } from './statistics';

/** What the page's two buttons do: links to commands, the only ones that the page may run. */
const COMMANDS = ['infill.compareModels', 'infill.openBench'];

/** One page, drawn anew when something is chosen in it. */
export class Report implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private chosen: string[] = [];
  private bench = '';

  constructor(private readonly server: Server) {}

  async show(): Promise<void> {
    const stats = await this.server.ask<Statistics>('infill.stats');
    if (stats) this.draw(stats);
  }

  /** Ask which two models stand side by side. */
  async compare(): Promise<void> {
    const stats = await this.server.ask<Statistics>('infill.stats');
    if (!stats) return;
    const names = stats.byModel.map(nameOf);
    if (names.length < 2) {
      void vscode.window.showInformationMessage(vscode.l10n.t('Once two models have answered, they can be compared here.'));
      return;
    }
    const first = await vscode.window.showQuickPick(names, { title: vscode.l10n.t('Compare which model?') });
    if (first === undefined) return;
    const second = await vscode.window.showQuickPick(names.filter((name) => name !== first), { title: vscode.l10n.t('Compare {0} with which?', first) });
    if (second === undefined) return;
    this.chosen = [first, second];
    this.draw(stats);
  }

  /** Ask for a file that `infill bench` wrote. */
  async openBench(): Promise<void> {
    const [file] = (await vscode.window.showOpenDialog({ title: vscode.l10n.t('Results of infill bench'), filters: { JSON: ['json'] } })) ?? [];
    if (!file) return;
    const name = path.posix.basename(file.path);
    const { size } = await vscode.workspace.fs.stat(file);
    this.bench = size > MOST_BYTES ? noResult(name) : benchResults(name, new TextDecoder().decode(await vscode.workspace.fs.readFile(file)));
    await this.show();
  }

  private draw(stats: Statistics): void {
    const pair = pairOf(stats, this.chosen);
    const compared = pair ? sideBySide(pair) : `<p>${escape(vscode.l10n.t('Once two models have answered, they can be compared here.'))}</p>`;
    const button = (command: string, title: string): string => `<a href="command:${command}">${escape(title)}</a>`;
    const buttons = (pair ? button('infill.compareModels', vscode.l10n.t('Compare Two Models...')) : '') + button('infill.openBench', vscode.l10n.t('Open Bench Results...'));
    const note = escape(vscode.l10n.t('Counted on this machine alone; nothing is sent.'));
    this.put(`<p>${buttons}</p>${this.bench}${section(vscode.l10n.t('Suggestions on this machine'), totals(stats))}${section(vscode.l10n.t('Side by side'), compared)}<p>${note}</p>`);
  }

  private put(body: string): void {
    const title = vscode.l10n.t('infill: report');
    if (this.panel) this.panel.reveal();
    else {
      this.panel = vscode.window.createWebviewPanel('infill.report', title, vscode.ViewColumn.Active, { enableScripts: false, enableCommandUris: COMMANDS, localResourceRoots: [] });
      this.panel.onDidDispose(() => { this.panel = undefined; });
    }
    this.panel.webview.html = page(title, body);
  }

  dispose(): void {
    this.panel?.dispose();
  }
}
