/** The report page: acceptance, latency, speed by model; and why the last suggestion was what it was. A webview without scripts or remote content. */

import * as vscode from 'vscode';
import type { Server } from './client';
import { bars, escape, table } from './html';

function page(title: string, body: string): string {
  // Colours come from the theme, so that light and dark both read well; no script, no network.
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><title>${escape(title)}</title>
<style>body{font-family:var(--vscode-font-family);color:var(--vscode-foreground);padding:1em 2em}h1{font-weight:400}
table{border-collapse:collapse}th{text-align:left;font-weight:400;opacity:.75;padding:.2em 1.5em .2em 0;vertical-align:top}td{padding:.2em 0}
svg{max-width:100%}rect{fill:var(--vscode-charts-blue)}text{fill:var(--vscode-foreground);font-size:12px}ul{margin:0;padding-left:1.2em}</style></head>
<body><h1>${escape(title)}</h1>${body}</body></html>`;
}

function show(id: string, title: string, body: string): void {
  const panel = vscode.window.createWebviewPanel(id, title, vscode.ViewColumn.Beside, { enableScripts: false, localResourceRoots: [] });
  panel.webview.html = page(title, body);
}

interface Statistics {
  shown: number;
  accepted: number;
  partly: number;
  characters: number;
  latency: { p50: number; p95: number };
  byModel: { model: string; provider: string; shown: number; accepted: number; p50: number; p95: number; tokensPerSecond: number }[];
}

function statistics(stats: Statistics): string {
  const share = stats.shown > 0 ? (100 * stats.accepted) / stats.shown : 0;
  const facts = {
    [vscode.l10n.t('suggestions shown')]: stats.shown,
    [vscode.l10n.t('accepted')]: `${stats.accepted} (${share.toFixed(0)} %)`,
    [vscode.l10n.t('accepted in part')]: stats.partly,
    [vscode.l10n.t('characters of typing saved')]: stats.characters,
    [vscode.l10n.t('latency, median')]: `${stats.latency.p50.toFixed(0)} ms`,
    [vscode.l10n.t('latency, 95th percentile')]: `${stats.latency.p95.toFixed(0)} ms`,
  };
  const by = (title: string, rows: { name: string; value: number; unit: string }[]): string => (rows.length > 0 ? `<h2>${title}</h2>${bars(rows)}` : '');
  return (
    table(facts) +
    by(vscode.l10n.t('Median latency'), stats.byModel.map((row) => ({ name: row.model, value: row.p50, unit: 'ms' }))) +
    by(vscode.l10n.t('Accepted'), stats.byModel.map((row) => ({ name: row.model, value: row.shown > 0 ? (100 * row.accepted) / row.shown : 0, unit: '%' }))) +
    by(vscode.l10n.t('Speed'), stats.byModel.filter((row) => row.tokensPerSecond > 0).map((row) => ({ name: row.model, value: row.tokensPerSecond, unit: 'tokens/s' })))
  );
}

export async function showReport(server: Server): Promise<void> {
  const stats = await server.ask<Statistics>('infill.stats');
  if (stats) show('infill.report', vscode.l10n.t('infill: report'), `${statistics(stats)}<p>${vscode.l10n.t('Counted on this machine alone; nothing is sent.')}</p>`);
}

export async function explain(server: Server): Promise<void> {
  const why = await server.ask<object>('infill.explain');
  if (why) show('infill.explain', vscode.l10n.t('infill: the last suggestion'), table(why));
}
