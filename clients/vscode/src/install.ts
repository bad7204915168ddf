/** Installs the server into a private virtual environment, with progress and a log, at the press of one button. */

import { spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { privateEnvironment, scriptIn, versionOf, type Found } from './find';
import { isOlder } from './words';

const LONGEST_LINE = 100;

/** Runs a program to its end; rejects where it fails. */
type Run = (program: string, args: string[]) => Promise<void>;

/** Run a program, its output going to the log and its latest line to `say`; rejects with its last line. */
function run(program: string, args: string[], log: vscode.LogOutputChannel, token: vscode.CancellationToken, say: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    log.info(`${program} ${args.join(' ')}`);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let last = '';
    const listen = (data: Buffer): void => {
      const text = data.toString().trimEnd();
      last = text.split('\n').at(-1) ?? last;
      log.info(text);
      say(last.trim().slice(0, LONGEST_LINE));
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    const stop = token.onCancellationRequested(() => child.kill());
    child.on('error', reject);
    child.on('close', (code) => {
      stop.dispose();
      if (code === 0) resolve();
      else reject(new Error(token.isCancellationRequested ? vscode.l10n.t('cancelled') : last));
    });
  });
}

async function python(): Promise<string> {
  for (const name of process.platform === 'win32' ? ['py', 'python'] : ['python3', 'python']) {
    if (await isNewEnough(name)) return name;
  }
  throw new Error(vscode.l10n.t('Python 3.10 or newer was not found: install it from python.org, then try again.'));
}

function isNewEnough(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(name, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 10))'], { stdio: 'ignore' });
    child.on('error', () => { resolve(false); });
    child.on('close', (code) => { resolve(code === 0); });
  });
}

/** What pip installs: what the setting names, else the server that came with this extension. Never a name to be looked up: it could be anybody's. */
async function source(context: vscode.ExtensionContext): Promise<string> {
  const named = vscode.workspace.getConfiguration('infill').get<string>('server.package') ?? '';
  if (named !== '') return named;
  const folder = context.asAbsolutePath(path.join('dist', 'server'));
  const wheel = (await fs.readdir(folder).catch(() => [])).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error(vscode.l10n.t('this extension was packaged without its server: name one in the setting infill.server.package'));
  return path.join(folder, wheel);
}

async function pip(context: vscode.ExtensionContext, run: Run, wanted: string): Promise<void> {
  const installer = scriptIn(privateEnvironment(context)).replace(/infill(\.exe)?$/, 'python$1');
  await run(installer, ['-m', 'pip', 'install', '--disable-pip-version-check', '--upgrade', wanted]);
}

/** Make the environment and install into it. An unfinished one is removed: nothing half-done is ever found as a server. */
async function install(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, run: Run, wanted: string): Promise<void> {
  const environment = privateEnvironment(context);
  const program = await python();
  try {
    await fs.mkdir(context.globalStorageUri.fsPath, { recursive: true });
    await run(program, ['-m', 'venv', '--clear', environment]);
    await pip(context, run, wanted);
    if ((await versionOf([scriptIn(environment)], log)) === undefined) throw new Error(vscode.l10n.t('the installed server does not start'));
  } catch (error) {
    await fs.rm(environment, { recursive: true, force: true });
    throw error;
  }
}

/** Whether the server is this extension's own installation, and older than the one that the extension brings. */
export function isOutdated(context: vscode.ExtensionContext, { command, version }: Found): boolean {
  const named = vscode.workspace.getConfiguration('infill').get<string>('server.package') ?? '';
  return named === '' && command[0] === scriptIn(privateEnvironment(context)) && isOlder(version, extensionVersion(context));
}

/** The extension's version, which is that of the server it brings. */
export function extensionVersion(context: vscode.ExtensionContext): string {
  return (context.extension.packageJSON as { version: string }).version;
}

/** The button's work; true when a server is there afterwards. An upgrade that fails leaves the older one as it was. */
export async function installServer(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, how: 'anew' | 'upgrade' = 'anew'): Promise<boolean> {
  const title = vscode.l10n.t('Installing the infill server (llama.cpp is compiled for this machine: a few minutes)');
  try {
    const wanted = await source(context);
    await vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, (progress, token) => {
      const logged: Run = (program, args) => run(program, args, log, token, (message) => { progress.report({ message }); });
      return how === 'upgrade' ? pip(context, logged, wanted) : install(context, log, logged, wanted);
    });
    return true;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const openLog = vscode.l10n.t('Open Log');
    if ((await vscode.window.showErrorMessage(vscode.l10n.t('The infill server was not installed: {0}', why), openLog)) === openLog) log.show();
    return false;
  }
}
