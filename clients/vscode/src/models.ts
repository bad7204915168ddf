/** Choosing, downloading and removing models: the quick pick and the tree view. */

import * as vscode from 'vscode';
import type { Server } from './client';
import type { Listing, Model } from './protocol';
import { bytes, grouped, label, summary, type Group } from './words';

type Scope = 'global' | 'workspace';
type Role = 'complete' | 'generate';

function titleOf(group: Group): string {
  const titles: Record<Group, string> = {
    installed: vscode.l10n.t('Installed'),
    recommended: vscode.l10n.t('Recommended for this machine'),
    remote: vscode.l10n.t('Remote'),
    others: vscode.l10n.t('Other models'),
    tooBig: vscode.l10n.t('Too big for this machine'),
  };
  return titles[group];
}

async function pick(server: Server, title: string, keep: (model: Model) => boolean): Promise<Model | undefined> {
  const listing = await server.ask<Listing>('infill.models');
  if (!listing) return undefined;
  const items: (vscode.QuickPickItem & { model?: Model })[] = grouped(listing.models.filter(keep)).flatMap(([group, models]) => [
    { label: titleOf(group), kind: vscode.QuickPickItemKind.Separator },
    ...models.map((model) => ({ label: label(model), description: summary(model), model })),
  ]);
  if (items.length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t('There are no models to choose from.'));
    return undefined;
  }
  return (await vscode.window.showQuickPick(items, { title, matchOnDescription: true }))?.model;
}

export async function download(server: Server, model: Model): Promise<boolean> {
  // Progress and its cancel button come from the server's own work-done progress.
  return (await server.ask('infill.downloadModel', { model: model.id })) !== undefined;
}

export async function use(server: Server, model: Model, scope: Scope, role: Role = 'complete'): Promise<void> {
  if (!model.installed && model.fit !== 'remote' && !(await download(server, model))) return;
  const answer = await server.ask<{ message: string }>('infill.switchModel', { model: model.id, scope, role });
  if (answer) vscode.window.setStatusBarMessage(`infill: ${answer.message}`, 5000);
}

export async function chooseModel(server: Server, scope: Scope): Promise<void> {
  const model = await pick(server, vscode.l10n.t('Model for completions'), ({ roles }) => roles.length === 0 || roles.includes('complete'));
  if (model) await use(server, model, scope);
}

/** The model for generated code alone; completions keep theirs. */
export async function chooseGenerateModel(server: Server): Promise<void> {
  const model = await pick(server, vscode.l10n.t('Model for generating code'), ({ roles }) => roles.includes('generate'));
  if (model) await use(server, model, 'global', 'generate');
}

export async function chooseDownload(server: Server): Promise<void> {
  const model = await pick(server, vscode.l10n.t('Download which model?'), (candidate) => !candidate.installed && candidate.fit !== 'remote');
  if (model) await download(server, model);
}

export async function remove(server: Server, model: Model): Promise<void> {
  const yes = vscode.l10n.t('Remove');
  const question = vscode.l10n.t('Remove {0} ({1}) from this machine?', label(model).replace(/\$\([^)]*\)\s*/g, ''), bytes(model.size));
  if ((await vscode.window.showWarningMessage(question, { modal: true }, yes)) === yes) await server.ask('infill.removeModel', { model: model.id });
}

type Node = { kind: 'group'; group: Group; models: Model[] } | { kind: 'model'; model: Model } | { kind: 'fact'; text: string; icon: string };

/** What the item's buttons depend on. */
function contextOf(model: Model): string {
  if (model.state === 'downloading') return 'downloading';
  const here = model.installed && model.fit !== 'remote';
  return [
    model.active || !(model.installed || model.fit === 'remote') ? '' : 'usable',
    here ? 'installed' : '',
    here && !model.active && model.id !== 'local:bundled' ? 'removable' : '',
    !model.installed && model.fit !== 'remote' && model.state !== 'broken' ? 'available' : '',
  ].filter((part) => part !== '').join(' ');
}

/** The "Models" view: what is installed and what could be, with storage and hardware below. */
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
    // in the background: what fails is logged, for no one has asked
    const [listing, hardware] = await Promise.all([
      this.server.look<Listing>('infill.models'),
      this.server.look<{ summary: string }>('infill.hardware'),
    ]);
    if (!listing) return [];
    const { used, free } = listing.storage;
    return [
      ...grouped(listing.models).map(([group, models]) => ({ kind: 'group' as const, group, models })),
      { kind: 'fact', text: vscode.l10n.t('{0} used, {1} free', bytes(used) || '0 MB', bytes(free)), icon: 'database' },
      ...(hardware ? [{ kind: 'fact' as const, text: hardware.summary, icon: 'chip' }] : []),
    ];
  }

  getTreeItem(node: Node): vscode.TreeItem {
    if (node.kind === 'model') return modelItem(node.model);
    if (node.kind === 'fact') {
      const item = new vscode.TreeItem(node.text);
      Object.assign(item, { id: node.icon, tooltip: node.text, iconPath: new vscode.ThemeIcon(node.icon) });
      return item;
    }
    const { Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
    const item = new vscode.TreeItem(titleOf(node.group), node.group === 'tooBig' ? Collapsed : Expanded);
    item.id = node.group;
    return item;
  }

  /** The view, and the actions of its lines by command. */
  register(): vscode.Disposable[] {
    const on = (command: string, act: (model: Model) => Promise<unknown>): vscode.Disposable =>
      vscode.commands.registerCommand(command, async (node?: Node) => {
        if (node?.kind === 'model') await act(node.model); // bound to a key it gets no node; what changes the list is announced by the server
      });
    return [
      on('infill.model.use', (model) => use(this.server, model, 'global')),
      on('infill.model.download', (model) => download(this.server, model)),
      on('infill.model.remove', (model) => remove(this.server, model)),
      on('infill.model.verify', async (model) => {
        const answer = await this.server.ask<{ message: string }>('infill.verifyModel', { model: model.id });
        if (answer) void vscode.window.showInformationMessage(answer.message);
      }),
      on('infill.model.tune', async (model) => {
        await this.server.ask('infill.tune', { model: model.id });
        this.refresh();
      }),
      vscode.commands.registerCommand('infill.models.refresh', () => { this.refresh(); }),
      vscode.window.createTreeView('infill.models', { treeDataProvider: this }),
      ...this.watching,
      new vscode.Disposable(() => { this.changed.dispose(); }),
    ];
  }
}

function modelItem(model: Model): vscode.TreeItem {
  const [, icon = 'package', title = ''] = /^\$\(([^)]+)\) (.*)$/.exec(label(model)) ?? [];
  const item = new vscode.TreeItem(title);
  const checked = model.checked ? vscode.l10n.t('Checked: {0}', model.checked) : '';
  const tooltip = [title, summary(model), model.why, checked].filter((line) => line !== '').join('\n');
  Object.assign(item, { id: model.id, description: summary(model), tooltip, iconPath: new vscode.ThemeIcon(icon), contextValue: contextOf(model) });
  return item;
}
