/** All that the status bar and the menus depend on, and the context keys that say it to package.json's `when` clauses. */

import * as vscode from 'vscode';
import { isOn, type Server } from './client';
import type { Snooze } from './snooze';
import { view, type Facts, type Language, type View } from './state';

interface Contributions {
  contributes?: { languages?: { id: string; aliases?: string[] }[] };
}

const names = new Map<string, string>();

/** A language's name as VS Code shows it: the first alias that an extension gives it. */
export function languageName(id: string): string {
  let name = names.get(id);
  if (name === undefined) {
    const known = vscode.extensions.all.flatMap(({ packageJSON }) => (packageJSON as Contributions).contributes?.languages ?? []);
    name = known.find((language) => language.id === id && language.aliases?.[0] !== undefined)?.aliases?.[0] ?? id;
    names.set(id, name);
  }
  return name;
}

export class Situation implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<View>();
  readonly onChange = this.changed.event;
  private readonly subscriptions: vscode.Disposable[];
  private starts = 0;
  private keys = '';

  constructor(private readonly server: Server, private readonly snooze: Snooze) {
    const renew = (): void => { this.renew(); };
    this.subscriptions = [
      server.onStatus(renew),
      snooze.onChange(renew),
      vscode.window.onDidChangeActiveTextEditor(renew),
      vscode.workspace.onDidOpenTextDocument(renew), // another language for the same document, too
      vscode.workspace.onDidChangeConfiguration((change) => { if (change.affectsConfiguration('infill') || change.affectsConfiguration('editor.inlineSuggest')) renew(); }),
    ];
    renew();
  }

  /** Around a search for the server and its start. */
  async starting<Result>(act: () => Promise<Result>): Promise<Result> {
    this.starts++;
    this.renew();
    try {
      return await act();
    } finally {
      this.starts--;
      this.renew();
    }
  }

  get language(): Language | undefined {
    const document = vscode.window.activeTextEditor?.document;
    return document && { id: document.languageId, name: languageName(document.languageId), on: isOn(document) };
  }

  get facts(): Facts {
    return {
      enabled: vscode.workspace.getConfiguration('infill').get('enabled', true),
      starting: this.starts > 0,
      status: this.server.status,
      language: this.language,
      snoozedUntil: this.snooze.end,
      ghostText: vscode.workspace.getConfiguration('editor').get('inlineSuggest.enabled', true),
    };
  }

  get view(): View {
    return view(this.facts);
  }

  private renew(): void {
    const { enabled, language, snoozedUntil } = this.facts;
    const keys = { 'infill.enabled': enabled, 'infill.languageEnabled': language?.on ?? enabled, 'infill.snoozed': snoozedUntil !== '' };
    if (this.keys !== JSON.stringify(keys)) for (const [key, value] of Object.entries(keys)) void vscode.commands.executeCommand('setContext', key, value);
    this.keys = JSON.stringify(keys);
    this.changed.fire(this.view);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changed.dispose();
  }
}
