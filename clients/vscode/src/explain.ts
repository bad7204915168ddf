/** Why the last suggestion was what it was: one sentence first, then what was asked and answered, in words; all that is known stands folded below. */

import * as vscode from 'vscode';
import type { Server } from './client';
import { escape, page, section, table } from './html';

/** What `infill.explain` tells, as far as it is put into words: docs/develop/protocol.md. */
export interface Explained {
  request: { uri: string; language: string; automatic: boolean; line: number; charactersBefore: number; charactersAfter: number } | null;
  reason?: string;
  suggestions?: number;
  heldBack?: boolean;
  probability?: number | null;
  source?: string;
  cache?: string;
  provider?: string;
  model?: string;
  refused?: string;
  timings?: { totalMs: number; waitedMs: number };
  prompt?: { prefixCharacters: number; suffixCharacters: number; snippets: unknown; singleLine: boolean } | null;
  answer?: { tokensGenerated?: number | null; tokensEvaluated?: number | null; tokensKept?: number | null } | null;
  notes?: string[];
  acceptedCharacters?: number;
}

const ms = (value: number): string => `${Math.round(value)} ms`;

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The answer to "why?" in one sentence. */
export function sentence({ request, reason = '', suggestions = 0, heldBack, probability, timings }: Explained): string {
  if (request === null) return vscode.l10n.t('No suggestion was requested yet.');
  if (heldBack === true) {
    const likely = probability === null || probability === undefined ? '' : ` (${Math.round(probability * 100)} %)`;
    return vscode.l10n.t('No suggestion: it is too unlikely to be right{0}. infill.completion.eagerness shows more.', likely);
  }
  if (suggestions > 0) {
    const time = timings ? ms(timings.totalMs) : '';
    return suggestions === 1 ? vscode.l10n.t('One suggestion was shown after {0}.', time) : vscode.l10n.t('{0} suggestions were found after {1}.', suggestions, time);
  }
  return reason === '' ? vscode.l10n.t('No suggestion.') : vscode.l10n.t('No suggestion: {0}.', reason.replace(/\.$/, ''));
}

/** What was asked and answered, in words; what is not known is left out. */
export function facts({ request, provider = '', model = '', cache = '', source = '', refused = '', timings, prompt, answer, notes = [] }: Explained): Record<string, string> {
  if (request === null) return {};
  const asked = request.automatic ? vscode.l10n.t('while typing') : vscode.l10n.t('by key');
  const found: [string, string][] = [
    [vscode.l10n.t('Requested'), vscode.l10n.t('{0}, in line {1} ({2})', asked, request.line, request.language)],
    [vscode.l10n.t('Model'), [model, provider === '' || model.startsWith(`${provider}:`) ? '' : `(${provider})`].filter(Boolean).join(' ')],
    [vscode.l10n.t('Answered by'), capital(source)],
    [vscode.l10n.t('Cache'), cache],
    [vscode.l10n.t('Sent'), prompt ? vscode.l10n.t('{0} characters before the cursor and {1} after it', prompt.prefixCharacters, prompt.suffixCharacters) : ''],
    [vscode.l10n.t('Time'), timings ? vscode.l10n.t('{0}, of which {1} waiting for you to stop typing', ms(timings.totalMs), ms(timings.waitedMs)) : ''],
    [vscode.l10n.t('Tokens'), typeof answer?.tokensGenerated === 'number' ? vscode.l10n.t('{0} generated, {1} of the prompt evaluated, {2} from the KV cache', answer.tokensGenerated, answer.tokensEvaluated ?? 0, answer.tokensKept ?? 0) : ''],
    [vscode.l10n.t('Not sent to remote providers'), refused],
    [vscode.l10n.t('Notes'), notes.join(' ')],
  ];
  return Object.fromEntries(found.filter(([, text]) => text !== ''));
}

export class Explanation implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;

  constructor(private readonly server: Server) {}

  /** Show it in the one panel, which is made anew only when it was closed. */
  async show(): Promise<void> {
    const why = await this.server.ask<Explained>('infill.explain');
    if (!why) return;
    const title = vscode.l10n.t('infill: the last suggestion');
    if (!this.panel) {
      this.panel = vscode.window.createWebviewPanel('infill.explain', title, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true }, { enableScripts: false, localResourceRoots: [] });
      this.panel.onDidDispose(() => { this.panel = undefined; });
    } else this.panel.reveal(undefined, true);
    const all = `<details><summary>${escape(vscode.l10n.t('All details'))}</summary>${table(why)}</details>`;
    this.panel.webview.html = page(title, `<p class="lead">${escape(sentence(why))}</p>${section('', table(facts(why)))}${all}`);
  }

  dispose(): void {
    this.panel?.dispose();
  }
}
