/** Choosing, downloading and removing models: the quick pick and the tree view. */

import * as vscode from 'vscode';
import type { Server } from './client';
import type { Listing, Model } from './protocol';
import { bytes, label, summary } from './words';

type Scope = 'global' | 'workspace';

async function pick(server: Server, title: string, keep: (model: Model) => boolean): Promise<Model | undefined> {
  const listing = await server.ask<Listing>('infill.models');
  if (!listing) return undefined;
  const items = listing.models.filter(keep).map((model) => ({ label: label(model), description: summary(model), detail: model.why, model }));
  return (await vscode.window.showQuickPick(items, { title, matchOnDescription: true }))?.model;
}

export async function download(server: Server, model: Model): Promise<boolean> {
  // Progress and its cancel button come from the server's own work-done progress.
  return (await server.ask('infill.downloadModel', { model: model.id })) !== undefined;
}

export async function use(server: Server, model: Model, scope: Scope): Promise<void> {
  if (!model.installed && model.fit !== 'remote' && !(await download(server, model))) return;
  const answer = await server.ask<{ message: string }>('infill.switchModel', { model: model.id, scope });
  if (answer) vscode.window.setStatusBarMessage(`infill: ${answer.message}`, 5000);
}

export async function chooseModel(server: Server, scope: Scope): Promise<void> {
  const model = await pick(server, vscode.l10n.t('Model for completions'), () => true);
  if (model) await use(server, model, scope);
}

export async function chooseDownload(server: Server): Promise<void> {
  const model = await pick(server, vscode.l10n.t('Download which model?'), (candidate) => !candidate.installed && candidate.fit !== 'remote');
  if (model) await download(server, model);
}

export async function remove(server: Server, model: Model): Promise<void> {
  const yes = vscode.l10n.t('Remove');
  const question = vscode.l10n.t('Remove {0} ({1}) from this machine?', model.title, bytes(model.size));
  if ((await vscode.window.showWarningMessage(question, { modal: true }, yes)) === yes) await server.ask('infill.removeModel', { model: model.id });
}

type Node = { kind: 'group'; name: string; models: Model[] } | { kind: 'model'; model: Model } | { kind: 'fact'; text: string; icon: string };

/** The "Models" view: what is here and what could be, per provider, with storage and hardware below. */
export class ModelTree implements vscode.TreeDataProvider<Node> {
  private readonly changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly watching: vscode.Disposable[];

  constructor(private readonly server: Server) {
    // another model, or none any more
    let known = '';
    const status = server.onStatus((status) => {
      const now = `${String(server.running)} ${status?.model ?? ''}`;
      if (now !== known) this.refresh();
      known = now;
    });
    this.watching = [status, server.onModelsChanged(() => { this.refresh(); })];
  }

  refresh(): void {
    this.changed.fire(undefined);
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node?.kind === 'group') return node.models.map((model) => ({ kind: 'model', model }));
    if (node !== undefined || !this.server.running) return [];
    const [listing, hardware] = await Promise.all([
      this.server.ask<Listing>('infill.models'),
      this.server.ask<{ summary: string }>('infill.hardware'),
    ]);
    if (!listing) return [];
    const installed = listing.models.filter((model) => model.installed && model.fit !== 'remote');
    const remote = listing.models.filter((model) => model.fit === 'remote');
    const available = listing.models.filter((model) => !model.installed && model.fit !== 'remote');
    const groups: Node[] = [
      { kind: 'group', name: vscode.l10n.t('On this machine'), models: installed },
      { kind: 'group', name: vscode.l10n.t('Remote'), models: remote },
      { kind: 'group', name: vscode.l10n.t('To download'), models: available },
    ];
    const { used, free } = listing.storage;
    return [
      ...groups.filter((group) => group.kind === 'group' && group.models.length > 0),
      { kind: 'fact', text: vscode.l10n.t('{0} used, {1} free', bytes(used) || '0 MB', bytes(free)), icon: 'database' },
      ...(hardware ? [{ kind: 'fact' as const, text: hardware.summary, icon: 'chip' }] : []),
    ];
  }

  getTreeItem(node: Node): vscode.TreeItem {
    if (node.kind === 'group') return new vscode.TreeItem(node.name, vscode.TreeItemCollapsibleState.Expanded);
    if (node.kind === 'fact') {
      const item = new vscode.TreeItem(node.text);
      item.iconPath = new vscode.ThemeIcon(node.icon);
      return item;
    }
    const { model } = node;
    const item = new vscode.TreeItem(model.title);
    item.description = summary(model);
    item.tooltip = model.checked ? `${model.why}\n${vscode.l10n.t('Checked: {0}', model.checked)}` : model.why;
    item.iconPath = new vscode.ThemeIcon(model.active ? 'check' : model.fit === 'remote' ? 'cloud' : model.fit === 'too big' ? 'circle-slash' : 'package');
    const removable = model.installed && !model.active && model.id !== 'local:bundled' ? ' removable' : '';
    item.contextValue = model.fit === 'remote' ? 'remote' : model.installed ? `installed${removable}` : 'available';
    return item;
  }

  /** The inline actions of the view, by command. */
  register(): vscode.Disposable[] {
    const on = (command: string, act: (model: Model) => Promise<unknown>): vscode.Disposable =>
      vscode.commands.registerCommand(command, async (node?: Node) => {
        if (node?.kind !== 'model') return; // bound to a key it gets no node
        await act(node.model);
        this.refresh();
      });
    return [
      on('infill.model.use', (model) => use(this.server, model, 'global')),
      on('infill.model.download', (model) => download(this.server, model)),
      on('infill.model.remove', (model) => remove(this.server, model)),
      on('infill.model.verify', async (model) => {
        const answer = await this.server.ask<{ message: string }>('infill.verifyModel', { model: model.id });
        if (answer) void vscode.window.showInformationMessage(answer.message);
      }),
      on('infill.model.tune', (model) => this.server.ask('infill.tune', { model: model.id })),
      vscode.commands.registerCommand('infill.models.refresh', () => { this.refresh(); }),
      vscode.window.registerTreeDataProvider('infill.models', this),
      ...this.watching,
      new vscode.Disposable(() => { this.changed.dispose(); }),
    ];
  }
}
