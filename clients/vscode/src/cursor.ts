/** Tells the server where the cursor rests, so that the model has read that place before the first key falls there, and how the document
 * is indented. A place, never text. */

import * as vscode from 'vscode';

/** A held arrow key says nothing on its way, only where it ends. */
const RESTS_AFTER_MS = 100;

interface Place {
  document: vscode.TextDocument;
  position: vscode.Position;
}

/** LSP's `FormattingOptions`; what the editor does not know is left out. */
export interface Indentation {
  tabSize?: number;
  insertSpaces?: boolean;
}

function indentationOf({ tabSize, insertSpaces }: vscode.TextEditorOptions): Indentation {
  return {
    ...(typeof tabSize === 'number' && { tabSize }),
    ...(typeof insertSpaces === 'boolean' && { insertSpaces }),
  };
}

/** Follows the cursor of the active editor as long as one server runs. */
export class Cursor implements vscode.Disposable {
  private timer: NodeJS.Timeout | undefined;
  private known: Place | undefined;
  private readonly listeners: vscode.Disposable[];

  /** tell: the server has these documents by then, and gets each message after what was changed before it. */
  constructor(private readonly tell: (document: vscode.TextDocument, position: vscode.Position, indentation: Indentation) => void) {
    this.listeners = [
      vscode.window.onDidChangeTextEditorSelection(() => { this.moved(); }),
      vscode.window.onDidChangeActiveTextEditor(() => { this.moved(); }),
      vscode.window.onDidChangeTextEditorOptions(() => {
        this.known = undefined;
        this.moved();
      }),
      vscode.workspace.onDidChangeTextDocument((change) => { this.changed(change); }),
    ];
    this.moved();
  }

  private moved(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.rested(); }, RESTS_AFTER_MS);
  }

  /** A change tells by itself where the cursor is: behind what was typed. */
  private changed({ document, contentChanges }: vscode.TextDocumentChangeEvent): void {
    const [change] = contentChanges;
    if (change) this.known = { document, position: document.positionAt(change.rangeOffset + change.text.length) };
  }

  private rested(): void {
    const editor = vscode.window.activeTextEditor;
    if (!editor) return;
    const { document, options, selection: { active: position } } = editor;
    if (this.known?.document === document && this.known.position.isEqual(position)) return;
    this.known = { document, position };
    this.tell(document, position, indentationOf(options));
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const listener of this.listeners) listener.dispose();
  }
}
