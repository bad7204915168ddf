/** Installs the server into a private virtual environment, with progress and a log, at the press of one button. */

import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import * as readline from 'node:readline';
import * as vscode from 'vscode';
import { privateEnvironment, program, scriptIn, type Found } from './find';
import { systemProgram } from './programs';
import { isOlder } from './words';

const MODULE = 'import sys; sys.path.insert(0, sys.argv[1]); from infill.install import main; sys.exit(main(sys.argv[2:]))';
const TICK_MS = 1000;
const LONGEST_REASON = 120;

/** One line of the installer: where it is, or why it failed. */
interface Line {
  phase?: string;
  done?: number;
  steps?: number;
  error?: string;
  hint?: string;
  lines?: string[];
}

/** The installation was stopped by the user: no error. */
class Cancelled extends Error {}

/** The installer's phases in the user's language; one that is unknown here stands as it is. */
function phaseText(phase: string): string {
  const known: Record<string, string> = {
    'Creating the virtual environment': vscode.l10n.t('Creating the virtual environment'),
    'Installing llama.cpp': vscode.l10n.t('Installing llama.cpp'),
    'Compiling llama.cpp for this machine': vscode.l10n.t('Compiling llama.cpp for this machine'),
    'Installing infill': vscode.l10n.t('Installing infill'),
    'Checking that it generates': vscode.l10n.t('Checking that it generates'),
  };
  return known[phase] ?? phase;
}

/** Phase, step and time since the start, and how much of the bar that is: a phase without steps moves nothing. */
export function progressText({ phase, done = 0, steps = 0 }: Line, seconds: number): string {
  const elapsed = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
  const where = steps > 0 ? vscode.l10n.t('{0}, step {1} of {2}', phaseText(phase ?? ''), done, steps) : phaseText(phase ?? '');
  return `${where} (${elapsed})`;
}

/** What an installation that failed says in one notification: what happened, the first reason, the next step. */
export function failureText({ error, lines = [], hint = '' }: Line): string {
  const [reason] = lines;
  return [error, reason === undefined ? '' : reason.slice(0, LONGEST_REASON), hint].filter(Boolean).join(' ');
}

/** End a program with all that it started. */
function end(child: ChildProcess): void {
  if (process.platform === 'win32') spawn(systemProgram('taskkill.exe'), ['/pid', String(child.pid), '/t', '/f']);
  else child.kill('SIGINT');
}

/** Run the installer, its progress going to the notification and all that it prints to the log. Rejects where it fails or is cancelled. */
function run(program: string, args: string[], log: vscode.LogOutputChannel, token: vscode.CancellationToken, progress: vscode.Progress<{ message: string; increment: number }>): Promise<void> {
  return new Promise((resolve, reject) => {
    log.info(`${program} ${args.join(' ')}`);
    const began = Date.now();
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: os.homedir() });
    let last: Line = {};
    const show = (increment = 0): void => { progress.report({ message: progressText(last, (Date.now() - began) / 1000), increment }); };
    const timer = setInterval(() => { if (last.phase !== undefined) show(); }, TICK_MS);
    readline.createInterface({ input: child.stdout }).on('line', (text) => {
      log.info(text);
      const before = last;
      last = parsed(text) ?? last;
      const moved = last.steps && before.steps === last.steps ? (100 * ((last.done ?? 0) - (before.done ?? 0))) / last.steps : 0;
      show(Math.max(0, moved));
    });
    readline.createInterface({ input: child.stderr }).on('line', (text) => { log.info(text); });
    const stop = token.onCancellationRequested(() => { end(child); });
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(timer);
      stop.dispose();
      if (token.isCancellationRequested) reject(new Cancelled());
      else if (code === 0) resolve();
      else reject(new Error(last.error === undefined ? vscode.l10n.t('the installer ended with code {0}', String(code)) : failureText(last)));
    });
  });
}

function parsed(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

async function python(): Promise<string> {
  for (const name of process.platform === 'win32' ? ['py', 'python'] : ['python3', 'python']) {
    const file = program(name);
    if (file !== undefined && await isNewEnough(file)) return file;
  }
  throw new Error(vscode.l10n.t('Python 3.10 or newer was not found: install it from python.org, then try again.'));
}

function isNewEnough(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(name, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 10))'], { stdio: 'ignore', cwd: os.homedir() });
    child.on('error', () => { resolve(false); });
    child.on('close', (code) => { resolve(code === 0); });
  });
}

/** The server that came with this extension: a wheel, from which Python also imports the installer. */
async function ownWheel(context: vscode.ExtensionContext): Promise<string> {
  const folder = context.asAbsolutePath(path.join('dist', 'server'));
  const wheel = (await fs.readdir(folder).catch(() => [])).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error(vscode.l10n.t('This extension was packaged without its server. Install the server yourself and name it in infill.server.command.'));
  return path.join(folder, wheel);
}

/** The installer's command line. What is installed is never a name to be looked up on an index, which anyone could have registered: it is a file, or what the setting names. */
async function command(context: vscode.ExtensionContext): Promise<[string, string[]]> {
  const wheel = await ownWheel(context);
  const named = vscode.workspace.getConfiguration('infill').get<string>('server.package') ?? '';
  return [await python(), ['-c', MODULE, wheel, '--environment', privateEnvironment(context), '--package', named === '' ? wheel : named, '--json']];
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

/** Install the server, or upgrade it; true when it is there afterwards. An upgrade that fails leaves the older one as it was. */
export async function installServer(context: vscode.ExtensionContext, log: vscode.LogOutputChannel, how: 'anew' | 'upgrade' = 'anew'): Promise<boolean> {
  const title = vscode.l10n.t('Installing the infill server');
  try {
    const [program, args] = await command(context);
    if (how === 'anew') await fs.rm(privateEnvironment(context), { recursive: true, force: true });
    await fs.mkdir(context.globalStorageUri.fsPath, { recursive: true });
    await vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, (progress, token) => run(program, args, log, token, progress));
    return true;
  } catch (error) {
    if (error instanceof Cancelled) {
      log.info('The installation was cancelled.');
      return false;
    }
    const why = error instanceof Error ? error.message : String(error);
    const openLog = vscode.l10n.t('Open Log');
    if ((await vscode.window.showErrorMessage(vscode.l10n.t('The infill server was not installed. {0}', why), openLog)) === openLog) log.show();
    return false;
  }
}
