/** Generated code as files in memory: the right side of the diff. It is filled while the code is written, and can be edited once that has ended. */

import * as vscode from 'vscode';

export const SCHEME = 'infill-preview';

interface File {
  data: Uint8Array;
  changed: number;
  writing: boolean;
}

class Preview implements vscode.FileSystemProvider {
  private readonly changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  readonly onDidChangeFile = this.changed.event;
  private readonly files = new Map<string, File>();
  private count = 0;

  /** A new file of this name, empty, to be written. */
  create(name: string, text: string): vscode.Uri {
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${++this.count}/${name}` });
    this.put(uri, text, true);
    return uri;
  }

  /** Put a text into the file; read-only for the user while more is being written. */
  put(uri: vscode.Uri, text: string, writing: boolean): void {
    const before = this.files.get(uri.path)?.changed ?? 0;
    // VS Code reads a file again only when its time is another one
    this.files.set(uri.path, { data: new TextEncoder().encode(text), changed: Math.max(before + 1, Date.now()), writing });
    this.changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
  }

  drop(uri: vscode.Uri): void {
    this.files.delete(uri.path);
  }

  stat(uri: vscode.Uri): vscode.FileStat {
    const { data, changed, writing } = this.find(uri);
    const stat = { type: vscode.FileType.File, ctime: 0, mtime: changed, size: data.byteLength };
    return writing ? { ...stat, permissions: vscode.FilePermission.Readonly } : stat;
  }

  readFile(uri: vscode.Uri): Uint8Array {
    return this.find(uri).data;
  }

  /** The user saves what they edited; it is taken from the editor when it is accepted. */
  writeFile(uri: vscode.Uri, data: Uint8Array): void {
    this.files.set(uri.path, { data, changed: Math.max(this.find(uri).changed + 1, Date.now()), writing: false });
    this.changed.fire([{ type: vscode.FileChangeType.Changed, uri }]);
  }

  private find(uri: vscode.Uri): File {
    const file = this.files.get(uri.path);
    if (!file) throw vscode.FileSystemError.FileNotFound(uri);
    return file;
  }

  watch(): vscode.Disposable {
    return new vscode.Disposable(() => undefined);
  }

  readDirectory(): [string, vscode.FileType][] {
    return [];
  }

  createDirectory(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  delete(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  rename(uri: vscode.Uri): void {
    throw vscode.FileSystemError.NoPermissions(uri);
  }
}

export const preview = new Preview();

export function registerPreview(): vscode.Disposable {
  return vscode.workspace.registerFileSystemProvider(SCHEME, preview, { isCaseSensitive: true });
}

/** Close the diff that shows this file, without asking about what was edited in it. */
export async function closePreview(uri: vscode.Uri): Promise<void> {
  const document = vscode.workspace.textDocuments.find((one) => one.uri.toString() === uri.toString());
  if (document?.isDirty === true) await document.save();
  const tabs = vscode.window.tabGroups.all.flatMap((group) => group.tabs);
  await vscode.window.tabGroups.close(tabs.filter((tab) => tab.input instanceof vscode.TabInputTextDiff && tab.input.modified.toString() === uri.toString()));
  preview.drop(uri);
}
