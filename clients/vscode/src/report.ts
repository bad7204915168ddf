/** The report page: statistics, two models side by side, saved bench results; and why the last suggestion was what it was. Webviews without scripts or remote content. */

import * as path from 'node:path';
import * as vscode from 'vscode';
import { benchResults, MOST_BYTES, noResult } from './bench';
import type { Server } from './client';
import { escape, section, table } from './html';
import { nameOf, pairOf, sideBySide, totals, type Statistics } from './statistics';

/** What the page's two buttons do: links to commands, the only ones that the page may run. */
const COMMANDS = ['infill.compareModels', 'infill.openBench'];

function page(title: string, body: string): string {
  // Colours come from the theme, so that light and dark both read well; no script, no network.
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><title>${escape(title)}</title>
<style>body{font-family:var(--vscode-font-family);color:var(--vscode-foreground);padding:1em 2em}h1,h2{font-weight:400}
table{border-collapse:collapse}th{text-align:left;font-weight:400;opacity:.75;padding:.2em 1.5em .2em 0;vertical-align:top}td{padding:.2em 1.5em .2em 0;vertical-align:top}
a{display:inline-block;margin:.2em 1em .2em 0;padding:.3em .9em;border-radius:2px;text-decoration:none;color:var(--vscode-button-foreground);background:var(--vscode-button-background)}
svg{max-width:100%}rect{fill:var(--vscode-charts-blue)}text{fill:var(--vscode-foreground);font-size:12px}ul{margin:0;padding-left:1.2em}</style></head>
<body><h1>${escape(title)}</h1>${body}</body></html>`;
}

function open(id: string, title: string, body: string): vscode.WebviewPanel {
  const panel = vscode.window.createWebviewPanel(id, title, vscode.ViewColumn.Beside, { enableScripts: false, enableCommandUris: COMMANDS, localResourceRoots: [] });
  panel.webview.html = page(title, body);
  return panel;
}

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
    if (this.panel) {
      this.panel.webview.html = page(title, body);
      this.panel.reveal();
    } else {
      this.panel = open('infill.report', title, body);
      this.panel.onDidDispose(() => { this.panel = undefined; });
    }
  }

  dispose(): void {
    this.panel?.dispose();
  }
}

export async function explain(server: Server): Promise<void> {
  const why = await server.ask<object>('infill.explain');
  if (why) open('infill.explain', vscode.l10n.t('infill: the last suggestion'), table(why));
}
