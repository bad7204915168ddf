/** Code from a prompt: a diff that fills while the code is written, then Accept, Discard, Retry and Follow Up in the editor's title and by key.
 *
 * The right side can be edited, and VS Code's arrows between the sides take back single changes: what then stands there is what is accepted.
 */

import * as path from 'node:path';
import * as vscode from 'vscode';
import type { Server } from './client';
import { closePreview, preview, SCHEME } from './preview';
import { askPrompt } from './prompt';
import type { Edit, Generated } from './protocol';
import { changeBetween, editsOf } from './words';

interface Request {
  document: vscode.TextDocument;
  place: vscode.Range;
  instruction: string;
  /** What was written before, and how to change it. */
  refine?: { text: string; instruction: string };
}

/** One diff, from the moment that it opens to the moment that it closes. */
interface Session {
  request: Request;
  shown: vscode.Uri;
  stop: vscode.CancellationTokenSource;
  /** The document's text that the code was written for. */
  base: string;
  text: string;
  notes?: vscode.Disposable;
}

const NOTE = vscode.window.createTextEditorDecorationType({ after: { margin: '0 0 0 2em', color: new vscode.ThemeColor('editorCodeLens.foreground'), fontStyle: 'italic' } });

function withText(document: vscode.TextDocument, place: vscode.Range, text: string): string {
  const all = document.getText();
  return all.slice(0, document.offsetAt(place.start)) + text + all.slice(document.offsetAt(place.end));
}

function asRange({ range: { start, end } }: Edit): vscode.Range {
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

/** The title of the diff's tab. */
function titleOf(document: vscode.TextDocument): string {
  return vscode.l10n.t('{0}: generated code', path.posix.basename(document.uri.path));
}

export class Generator implements vscode.Disposable {
  private session: Session | undefined;
  private readonly subscription: vscode.Disposable;

  constructor(private readonly server: Server, private readonly state: vscode.Memento) {
    this.subscription = vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
      const shown = this.session?.shown.toString();
      if (closed.some((tab) => tab.input instanceof vscode.TabInputTextDiff && tab.input.modified.toString() === shown)) void this.discard();
    });
  }

  register(): { dispose(): unknown }[] {
    const table: Record<string, () => Promise<void>> = {
      'infill.generateHere': () => this.generate(false),
      'infill.rewriteSelection': () => this.generate(true),
      'infill.generate.accept': () => this.accept(),
      'infill.generate.discard': () => this.discard(),
      'infill.generate.stop': () => this.discard(),
      'infill.generate.retry': () => this.retry(),
      'infill.generate.followUp': () => this.followUp(),
    };
    return [this, ...Object.entries(table).map(([name, act]) => vscode.commands.registerCommand(name, act))];
  }

  /** Ask for a prompt and write; an empty one takes the comment or signature at the cursor. */
  async generate(rewrites: boolean): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (!editor || editor.document.uri.scheme === SCHEME) return;
    if (this.server.status?.generates === 'local:bundled') {
      await offerDownload();
      return;
    }
    const { document, selection } = editor;
    const place = new vscode.Range(selection.start, selection.end);
    const instruction = rewrites
      ? await askPrompt(this.state, vscode.l10n.t('Rewrite Selection'), vscode.l10n.t('Describe how to rewrite the selection. Up and Down: earlier prompts.'))
      : await askPrompt(this.state, vscode.l10n.t('Generate Code'), vscode.l10n.t('Describe the code to generate (leave empty to use the comment or signature at the cursor). Up and Down: earlier prompts.'));
    if (instruction !== undefined) await this.run({ document, place, instruction });
  }

  private async run(request: Request): Promise<void> {
    await this.discard();
    const { document } = request;
    const base = document.getText();
    const shown = preview.create(path.posix.basename(document.uri.path), base);
    const session: Session = { request, shown, stop: new vscode.CancellationTokenSource(), base, text: '' };
    this.session = session;
    await tellState('writing');
    await vscode.commands.executeCommand('vscode.diff', document.uri, shown, titleOf(document), { preview: true });
    const right = await vscode.workspace.openTextDocument(shown);
    if (right.languageId !== document.languageId) await vscode.languages.setTextDocumentLanguage(right, document.languageId);
    const generated = await this.write(session);
    if (this.session !== session) return; // it was discarded meanwhile
    if (generated) await this.present(session, generated);
    else await this.discard();
  }

  /** The preview fills meanwhile. */
  private async write({ request: { document, place, instruction, refine }, shown, stop }: Session): Promise<Generated | undefined> {
    const stream = this.server.onGeneration((part) => { if (!stop.token.isCancellationRequested) preview.put(shown, withText(document, place, part.text), true); });
    this.server.bars.quiet = true; // the diff has a button to stop it, and nothing is to lie over the diff
    try {
      // a Range of the editor's would travel as an array
      const where = place.isEmpty ? { position: place.start } : { range: { start: place.start, end: place.end } };
      const argument = { uri: this.server.toUri(document.uri), ...where, ...(instruction === '' ? {} : { instruction }), ...(refine ? { refine } : {}), apply: 'preview' };
      return await this.server.ask<Generated>('infill.generate', argument, stop.token);
    } finally {
      this.server.bars.quiet = false;
      stream.dispose();
    }
  }

  private async present(session: Session, generated: Generated): Promise<void> {
    const { request: { document, place }, shown } = session;
    const [edit] = editsOf(generated);
    const at = edit ? asRange(edit) : place;
    session.base = document.getText();
    session.text = generated.text;
    preview.put(shown, withText(document, at, edit?.newText ?? generated.text), false);
    session.notes = annotate(shown, at.start.line, generated.notes);
    await tellState('done');
  }

  private async accept(): Promise<void> {
    const session = this.session;
    if (!session) return;
    const { request: { document }, shown, base } = session;
    if (document.getText() !== base) {
      void vscode.window.showWarningMessage(vscode.l10n.t('The file was changed after the code was generated. Retry, or undo the change.'));
      return;
    }
    const text = (await vscode.workspace.openTextDocument(shown)).getText();
    await this.discard();
    const change = changeBetween(base, text);
    if (!change) return;
    const edit = new vscode.WorkspaceEdit();
    edit.replace(document.uri, new vscode.Range(document.positionAt(change.start), document.positionAt(change.end)), change.text);
    await vscode.workspace.applyEdit(edit);
    const end = document.positionAt(change.start + change.text.length);
    await vscode.window.showTextDocument(document, { selection: new vscode.Range(end, end) });
  }

  /** Close the diff; what is being written is stopped. */
  private async discard(): Promise<void> {
    const session = this.session;
    if (!session) return;
    this.session = undefined;
    session.stop.cancel();
    session.notes?.dispose();
    await tellState('');
    await closePreview(session.shown);
  }

  private async retry(): Promise<void> {
    if (this.session) await this.run(this.session.request);
  }

  /** Change what was written by another prompt. */
  private async followUp(): Promise<void> {
    const session = this.session;
    if (!session) return;
    const instruction = await askPrompt(this.state, vscode.l10n.t('Follow Up'), vscode.l10n.t('Describe how to change the generated code. Up and Down: earlier prompts.'));
    if (instruction !== undefined && instruction !== '') await this.run({ ...session.request, refine: { text: session.text, instruction } });
  }

  dispose(): void {
    this.subscription.dispose();
    void this.discard();
  }
}

/** For the `when` clauses of buttons and keys. */
function tellState(state: 'writing' | 'done' | ''): Thenable<unknown> {
  return vscode.commands.executeCommand('setContext', 'infill.generation', state);
}

/** What is to be known of the code: after its first line, in the hover there, and in the status bar. */
function annotate(shown: vscode.Uri, line: number, notes: string[]): vscode.Disposable {
  const [first] = notes;
  if (first === undefined) return new vscode.Disposable(() => undefined);
  const end = new vscode.Range(line, Number.MAX_SAFE_INTEGER, line, Number.MAX_SAFE_INTEGER);
  const show = (editors: readonly vscode.TextEditor[]): void => {
    for (const editor of editors) {
      if (editor.document.uri.toString() === shown.toString()) editor.setDecorations(NOTE, [{ range: end, hoverMessage: notes.join('\n\n'), renderOptions: { after: { contentText: first } } }]);
    }
  };
  show(vscode.window.visibleTextEditors);
  const again = vscode.workspace.onDidChangeTextDocument(({ document }) => { if (document.uri.toString() === shown.toString()) show(vscode.window.visibleTextEditors); });
  return vscode.Disposable.from(again, vscode.window.onDidChangeVisibleTextEditors(show), vscode.window.setStatusBarMessage(first));
}

/** With the built-in model nothing useful can be generated. */
async function offerDownload(): Promise<void> {
  const download = vscode.l10n.t('Download a Model');
  const chosen = await vscode.window.showInformationMessage(vscode.l10n.t('Download a model to generate code. The built-in model only completes Python.'), download);
  if (chosen === download) await vscode.commands.executeCommand('infill.chooseDownload');
}
