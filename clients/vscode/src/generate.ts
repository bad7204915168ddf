/** Code from an instruction: a prompt box, a diff that fills while the code is written, then Accept, Discard or Retry by keyboard alone. */

import * as vscode from 'vscode';
import type { Server } from './client';
import type { Edit, Generated } from './protocol';
import { editsOf } from './words';

const SCHEME = 'infill-preview';

/** The document as it would be with the text so far: the right side of the diff. */
class Preview implements vscode.TextDocumentContentProvider {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly texts = new Map<string, string>();

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? '';
  }

  set(uri: vscode.Uri, text: string): void {
    this.texts.set(uri.toString(), text);
    this.changed.fire(uri);
  }

  drop(uri: vscode.Uri): void {
    this.texts.delete(uri.toString());
  }
}

const preview = new Preview();

export function registerPreview(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, preview);
}

function withText(document: vscode.TextDocument, place: vscode.Range, text: string): string {
  const all = document.getText();
  return all.slice(0, document.offsetAt(place.start)) + text + all.slice(document.offsetAt(place.end));
}

interface Request {
  document: vscode.TextDocument;
  place: vscode.Range;
  instruction: string;
}

function asRange(edit: Edit): vscode.Range {
  const { start, end } = edit.range;
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

/** The preview fills meanwhile; progress and its Cancel button are the server's. */
async function write(server: Server, request: Request, shown: vscode.Uri): Promise<Generated | undefined> {
  const { document, place, instruction } = request;
  const stream = server.onGeneration((part) => {
    preview.set(shown, withText(document, place, part.text));
  });
  try {
    // a Range of the editor's would travel as an array
    const where = place.isEmpty ? { position: place.start } : { range: { start: place.start, end: place.end } };
    const argument = { uri: server.toUri(document.uri), ...where, ...(instruction === '' ? {} : { instruction }), apply: 'preview' };
    return await server.ask<Generated>('infill.generate', argument);
  } finally {
    stream.dispose();
  }
}

async function apply(document: vscode.TextDocument, generated: Generated): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  for (const change of editsOf(generated)) edit.replace(document.uri, asRange(change), change.newText);
  await vscode.workspace.applyEdit(edit);
}

async function closeDiff(shown: vscode.Uri): Promise<void> {
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  const ours = tabs.filter((tab) => tab.input instanceof vscode.TabInputTextDiff && tab.input.modified.toString() === shown.toString());
  await vscode.window.tabGroups.close(ours);
  preview.drop(shown);
}

/** Write once and ask what to do with it; true when it is to be tried again. */
async function attempt(server: Server, request: Request): Promise<boolean> {
  const { document, place } = request;
  const shown = document.uri.with({ scheme: SCHEME, query: String(Date.now()) });
  preview.set(shown, document.getText());
  await vscode.commands.executeCommand('vscode.diff', document.uri, shown, vscode.l10n.t('infill: generated code'), { preview: true });
  const generated = await write(server, request, shown);
  if (!generated) {
    await closeDiff(shown);
    return false;
  }
  const edits = editsOf(generated);
  preview.set(shown, edits.length === 1 && edits[0] ? withText(document, asRange(edits[0]), edits[0].newText) : withText(document, place, generated.text));
  const accept = { label: `$(check) ${vscode.l10n.t('Accept')}` };
  const retry = { label: `$(refresh) ${vscode.l10n.t('Retry')}` };
  const discard = { label: `$(trash) ${vscode.l10n.t('Discard')}` };
  const chosen = await vscode.window.showQuickPick([accept, retry, discard], { title: generated.notes[0] ?? vscode.l10n.t('Take this code?'), ignoreFocusOut: true });
  await closeDiff(shown);
  if (chosen === accept) await apply(document, generated);
  return chosen === retry;
}

/** Ask for an instruction and write; an empty one takes the comment or signature at the cursor. */
export async function generate(server: Server, selectionOnly: boolean): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (!editor) return;
  const place = editor.selection.isEmpty ? new vscode.Range(editor.selection.active, editor.selection.active) : new vscode.Range(editor.selection.start, editor.selection.end);
  const prompt = selectionOnly ? vscode.l10n.t('How should the selection be rewritten?') : vscode.l10n.t('What should be written? Empty: as the comment or signature here says.');
  const instruction = await vscode.window.showInputBox({ prompt, ignoreFocusOut: true });
  if (instruction === undefined) return;
  const request = { document: editor.document, place, instruction };
  while (await attempt(server, request));
}
