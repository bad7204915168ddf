/** The status bar item: one render from one state, and the menu behind it. */

import * as vscode from 'vscode';
import type { Server } from './client';
import { statusText } from './words';

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('infill.status', vscode.StatusBarAlignment.Right, 100);
  private readonly subscription: vscode.Disposable;

  constructor(private readonly server: Server) {
    this.item.name = 'infill';
    this.item.command = 'infill.menu';
    this.subscription = server.onStatus(() => { this.render(); });
    this.render();
    this.item.show();
  }

  private render(): void {
    const status = this.server.status;
    this.item.text = statusText(status);
    const lines = status === undefined ? [vscode.l10n.t('The server is not running.')] : [status.message || status.kind, status.model, status.provider];
    this.item.tooltip = lines.filter((line) => line !== '').join('\n');
    const trouble = status?.kind === 'error' ? 'error' : status?.kind === 'warning' ? 'warning' : undefined;
    this.item.backgroundColor = trouble === undefined ? undefined : new vscode.ThemeColor(`statusBarItem.${trouble}Background`);
  }

  dispose(): void {
    this.subscription.dispose();
    this.item.dispose();
  }
}

/** Everything that one may want to do from the status bar. */
export async function showMenu(server: Server): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const entry = (label: string, command: string): vscode.QuickPickItem & { command: string } => ({ label, command });
  const entries = server.running
    ? [
        entry(`$(list-selection) ${vscode.l10n.t('Choose model...')}`, 'infill.chooseModel'),
        entry(`$(cloud-download) ${vscode.l10n.t('Download a model...')}`, 'infill.chooseDownload'),
        entry(`$(wand) ${vscode.l10n.t('Generate code...')}`, 'infill.generateHere'),
        entry(`$(question) ${vscode.l10n.t('Explain the last suggestion')}`, 'infill.explainLast'),
        entry(`$(graph) ${vscode.l10n.t('Show report')}`, 'infill.showReport'),
        entry(`$(play) ${vscode.l10n.t('Load the model now')}`, 'infill.load'),
        entry(`$(debug-stop) ${vscode.l10n.t('Unload the model')}`, 'infill.unload'),
        ...(language === undefined ? [] : [entry(`$(eye-closed) ${vscode.l10n.t('Off or on for {0}', language)}`, 'infill.toggleHere')]),
      ]
    : [entry(`$(desktop-download) ${vscode.l10n.t('Install the server')}`, 'infill.installServer')];
  const always = [
    entry(`$(circle-slash) ${vscode.l10n.t('Off or on everywhere')}`, 'infill.toggleAll'),
    entry(`$(refresh) ${vscode.l10n.t('Restart server')}`, 'infill.restart'),
    entry(`$(gear) ${vscode.l10n.t('Settings')}`, 'infill.openSettings'),
    entry(`$(output) ${vscode.l10n.t('Open log')}`, 'infill.showLog'),
  ];
  const title = server.status ? server.status.message || server.status.kind : vscode.l10n.t('The server is not running.');
  const chosen = await vscode.window.showQuickPick([...entries, ...always], { title });
  if (chosen) await vscode.commands.executeCommand(chosen.command);
}
