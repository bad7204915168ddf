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

/** A file to try completions in: at its end the built-in model has something sensible to suggest. */
const SAMPLE = `class Person:
    def __init__(self, name, age):
        self.name = name
        self.age = age

    @property
    def first_name(self):
        return self.name.split()[0]

    @property
    def last_name(self):
        return `;

export async function openSample(): Promise<void> {
  const document = await vscode.workspace.openTextDocument({ language: 'python', content: SAMPLE });
  const end = document.positionAt(SAMPLE.length);
  await vscode.window.showTextDocument(document, { selection: new vscode.Range(end, end) });
}

async function pulse(): Promise<void> {
  for (const value of [true, false]) await vscode.commands.executeCommand('setContext', 'infill.confirmed', value);
}
