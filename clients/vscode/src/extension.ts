/** Wires the parts together. What can live in the server does. */

import * as vscode from 'vscode';
import { Server } from './client';
import { Explanation } from './explain';
import { Generator } from './generate';
import { storeKey } from './keys';
import { chooseDownload, chooseGenerateModel, chooseModel, ModelTree } from './models';
import { registerPreview } from './preview';
import { registerHistory } from './prompt';
import { Report } from './report';
import { Situation } from './situation';
import { Snooze } from './snooze';
import { Startup } from './startup';
import { showMenu, StatusBar } from './status';
import { confirmServer, openSample } from './walkthrough';

let running: Server | undefined;

function setEnabled(enabled: boolean): Thenable<void> {
  return vscode.workspace.getConfiguration('infill').update('enabled', enabled, vscode.ConfigurationTarget.Global);
}

async function setLanguage(enabled: boolean): Promise<void> {
  const language = vscode.window.activeTextEditor?.document.languageId;
  if (language === undefined) return;
  const settings = vscode.workspace.getConfiguration('infill');
  const languages = settings.get<Record<string, boolean>>('languages') ?? {};
  await settings.update('languages', { ...languages, [language]: enabled }, vscode.ConfigurationTarget.Global);
}

/** Run a command of the server and say in the status bar what came of it. */
async function askAndTell(server: Server, command: string): Promise<void> {
  const answer = await server.ask<{ message: string }>(command, {});
  if (answer) vscode.window.setStatusBarMessage(`infill: ${answer.message}`, 5000);
}

interface Parts {
  context: vscode.ExtensionContext;
  server: Server;
  startup: Startup;
  situation: Situation;
  snooze: Snooze;
  report: Report;
  explanation: Explanation;
  log: vscode.LogOutputChannel;
}

function commands({ context, server, startup, situation, snooze, report, explanation, log }: Parts): vscode.Disposable[] {
  const table: Record<string, () => unknown> = {
    'infill.trigger': () => vscode.commands.executeCommand('editor.action.inlineSuggest.trigger'),
    'infill.menu': () => showMenu(situation),
    'infill.chooseModel': () => chooseModel(server, 'global'),
    'infill.chooseWorkspaceModel': () => chooseModel(server, 'workspace'),
    'infill.chooseGenerateModel': () => chooseGenerateModel(server),
    'infill.chooseDownload': () => chooseDownload(server),
    'infill.explainLast': () => explanation.show(),
    'infill.showReport': () => report.show(),
    'infill.compareModels': () => report.compare(),
    'infill.openBench': () => report.openBench(),
    'infill.enable': () => setEnabled(true),
    'infill.disable': () => setEnabled(false),
    'infill.enableLanguage': () => setLanguage(true),
    'infill.disableLanguage': () => setLanguage(false),
    'infill.snooze': () => snooze.ask(),
    'infill.endSnooze': () => { snooze.stop(); },
    'infill.load': () => askAndTell(server, 'infill.loadModel'),
    'infill.unload': () => askAndTell(server, 'infill.unloadModel'),
    'infill.rebuild': () => askAndTell(server, 'infill.build'),
    'infill.restart': () => startup.restart(),
    'infill.installServer': () => startup.install(),
    'infill.openSample': () => openSample(),
    'infill.openSettings': () => vscode.commands.executeCommand('workbench.action.openSettings', '@ext:infill.infill'),
    'infill.showLog': () => { log.show(); },
    'infill.storeKey': async () => {
      if (await storeKey(context)) await startup.restart();
    },
  };
  return Object.entries(table).map(([name, act]) => vscode.commands.registerCommand(name, act));
}

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('infill', { log: true });
  const server = new Server(log);
  running = server;
  const snooze = new Snooze();
  server.paused = () => snooze.active;
  const situation = new Situation(server, snooze);
  const startup = new Startup(context, server, situation, log);
  const [report, explanation] = [new Report(server), new Explanation(server)];
  context.subscriptions.push(
    log,
    server,
    snooze,
    situation,
    new StatusBar(situation),
    confirmServer(server),
    registerPreview(),
    ...registerHistory(),
    ...new Generator(server, context.globalState).register(),
    ...new ModelTree(server).register(),
    report,
    explanation,
    ...commands({ context, server, startup, situation, snooze, report, explanation, log }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => startup.restart()),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration('infill.enabled')) void startup.enabledChanged();
      if (change.affectsConfiguration('infill.server')) void startup.restart();
    }),
  );
  // not awaited: the extension's commands work while the server starts, and where it cannot
  startup.begin();
}

export function deactivate(): Promise<void> | undefined {
  return running?.stop();
}
