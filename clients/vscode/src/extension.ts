/** Wires the parts together. What can live in the server does. */

import * as vscode from 'vscode';
import { Server } from './client';
import { findServer, type Found } from './find';
import { generate, registerPreview } from './generate';
import { extensionVersion, installServer, isOutdated } from './install';
import { environment, storeKey } from './keys';
import { chooseDownload, chooseModel, ModelTree } from './models';
import { explain, Report } from './report';
import { showMenu, StatusBar } from './status';
import { confirmServer } from './walkthrough';

let running: Server | undefined;

const enabled = (): boolean => vscode.workspace.getConfiguration('infill').get('enabled', true);

/** Start the server that is found; where there is none, offer to install it, and wait for no answer. */
async function start(context: vscode.ExtensionContext, server: Server, log: vscode.LogOutputChannel): Promise<Found | undefined> {
  if (!enabled() || server.running) return undefined;
  const found = await findServer(context, log);
  if (found) await server.start(found, await environment(context));
  else void offerServer(context, server, log);
  return found;
}

async function offerServer(context: vscode.ExtensionContext, server: Server, log: vscode.LogOutputChannel): Promise<void> {
  const install = vscode.l10n.t('Install');
  const settings = vscode.l10n.t('Settings');
  const chosen = await vscode.window.showInformationMessage(vscode.l10n.t('The infill server was not found on this machine.'), install, settings);
  if (chosen === install) await installAndStart(context, server, log);
  if (chosen === settings) await vscode.commands.executeCommand('workbench.action.openSettings', 'infill.server.command');
}

async function installAndStart(context: vscode.ExtensionContext, server: Server, log: vscode.LogOutputChannel): Promise<void> {
  if (await installServer(context, log)) await restart(context, server, log);
}

/** The extension was updated, and its private server stayed behind. */
async function offerUpgrade(context: vscode.ExtensionContext, server: Server, log: vscode.LogOutputChannel, { version }: Found): Promise<void> {
  const upgrade = vscode.l10n.t('Upgrade');
  const question = vscode.l10n.t('The infill server on this machine is version {0}; version {1} came with the extension.', version, extensionVersion(context));
  if ((await vscode.window.showInformationMessage(question, upgrade)) !== upgrade) return;
  await server.stop(); // on Windows no program can be replaced while it runs
  await installServer(context, log, 'upgrade');
  await start(context, server, log);
}

async function restart(context: vscode.ExtensionContext, server: Server, log: vscode.LogOutputChannel): Promise<void> {
  await server.stop();
  await start(context, server, log);
}

/** What changes by itself is done one after the other: trust brings settings with it, and two restarts at once would start two servers. */
let turn: Promise<unknown> = Promise.resolve();
function inTurn(act: () => Promise<void>): Promise<void> {
  const mine = turn.then(act);
  turn = mine.catch(() => undefined); // the caller reports it
  return mine;
}

async function toggleEverywhere(): Promise<void> {
  await vscode.workspace.getConfiguration('infill').update('enabled', !enabled(), vscode.ConfigurationTarget.Global);
}

async function toggleLanguage(): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language === undefined) return;
  const settings = vscode.workspace.getConfiguration('infill');
  const languages = settings.get<Record<string, boolean>>('languages') ?? {};
  await settings.update('languages', { ...languages, [language]: languages[language] === false }, vscode.ConfigurationTarget.Global);
}

function commands(context: vscode.ExtensionContext, server: Server, report: Report, log: vscode.LogOutputChannel): vscode.Disposable[] {
  const table: Record<string, () => unknown> = {
    'infill.trigger': () => vscode.commands.executeCommand('editor.action.inlineSuggest.trigger'),
    'infill.menu': () => showMenu(server),
    'infill.chooseModel': () => chooseModel(server, 'global'),
    'infill.chooseWorkspaceModel': () => chooseModel(server, 'workspace'),
    'infill.chooseDownload': () => chooseDownload(server),
    'infill.generateHere': () => generate(server, false),
    'infill.rewriteSelection': () => generate(server, true),
    'infill.explainLast': () => explain(server),
    'infill.showReport': () => report.show(),
    'infill.compareModels': () => report.compare(),
    'infill.openBench': () => report.openBench(),
    'infill.toggleHere': toggleLanguage,
    'infill.toggleAll': toggleEverywhere,
    'infill.load': () => server.ask('infill.loadModel', {}),
    'infill.unload': () => server.ask('infill.unloadModel', {}),
    'infill.restart': () => restart(context, server, log),
    'infill.installServer': () => installAndStart(context, server, log),
    'infill.openSettings': () => vscode.commands.executeCommand('workbench.action.openSettings', '@ext:infill.infill'),
    'infill.showLog': () => { log.show(); },
    'infill.storeKey': async () => {
      if (await storeKey(context)) await restart(context, server, log);
    },
  };
  return Object.entries(table).map(([name, act]) => vscode.commands.registerCommand(name, act));
}

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('infill', { log: true });
  const server = new Server(log);
  running = server;
  const tree = new ModelTree(server);
  const report = new Report(server);
  context.subscriptions.push(
    log,
    server,
    new StatusBar(server),
    confirmServer(server),
    registerPreview(),
    ...tree.register(),
    report,
    ...commands(context, server, report, log),
    vscode.workspace.onDidGrantWorkspaceTrust(() => inTurn(() => restart(context, server, log))),
    vscode.workspace.onDidChangeConfiguration((change) => inTurn(async () => {
      if (change.affectsConfiguration('infill.enabled')) await (enabled() ? start(context, server, log) : server.stop());
      if (change.affectsConfiguration('infill.server')) await restart(context, server, log);
    })),
  );
  // not awaited: the extension's commands work while the server starts, and where it cannot
  void inTurn(async () => {
    const found = await start(context, server, log);
    if (found && isOutdated(context, found)) void offerUpgrade(context, server, log, found);
  }).catch((error: unknown) => void tellStartFailed(log, error));
}

async function tellStartFailed(log: vscode.LogOutputChannel, error: unknown): Promise<void> {
  log.error(error instanceof Error ? error : String(error));
  const openLog = vscode.l10n.t('Open Log');
  if ((await vscode.window.showErrorMessage(vscode.l10n.t('The infill server did not start.'), openLog)) === openLog) log.show();
}

export function deactivate(): Promise<void> | undefined {
  return running?.stop();
}
