/** Ticks the walkthrough's first step when the server runs already.
 *
 * VS Code ticks a step when an event comes after the walkthrough was opened; a context key that is true before never counts. So the key
 * `infill.confirmed` is set and unset again whenever such a page opens while the server runs.
 */

import * as vscode from 'vscode';

export function confirmServer(server: { readonly running: boolean }): vscode.Disposable {
  return vscode.window.tabGroups.onDidChangeTabs(({ opened, changed }) => {
    // a walkthrough's tab has no input that extensions know
    if (server.running && [...opened, ...changed].some((tab) => tab.input === undefined)) void pulse();
  });
}

async function pulse(): Promise<void> {
  for (const value of [true, false]) await vscode.commands.executeCommand('setContext', 'infill.confirmed', value);
}
