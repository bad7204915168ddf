/** Where the server is: the first of the likely places whose program answers with a version that this extension can speak to. */

import { execFile } from 'node:child_process';
import * as os from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import { locate } from './programs';
import { isAtLeast, versionIn } from './words';

const run = promisify(execFile);
const OLDEST: [number, number, number] = [0, 1, 0];
const EXECUTABLE = process.platform === 'win32' ? 'infill.exe' : 'infill';
const SCRIPTS = process.platform === 'win32' ? 'Scripts' : 'bin';

export interface Found {
  command: string[];
  version: string;
}

export function privateEnvironment(context: vscode.ExtensionContext): string {
  return path.join(context.globalStorageUri.fsPath, 'environment');
}

export function scriptIn(environment: string): string {
  return path.join(environment, SCRIPTS, EXECUTABLE);
}

/** The interpreter that the Python extension has selected, if that extension is there. */
export async function selectedPython(log: vscode.LogOutputChannel): Promise<string | undefined> {
  const extension = vscode.extensions.getExtension<{ environments?: { getActiveEnvironmentPath(): { path: string } } }>('ms-python.python');
  if (!extension) return undefined;
  try {
    const api = extension.isActive ? extension.exports : await extension.activate();
    return api.environments?.getActiveEnvironmentPath().path;
  } catch (error) {
    log.info(`ms-python.python: ${error instanceof Error ? error.message : String(error)}`); // its fault must not become ours
    return undefined;
  }
}

async function candidates(context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Promise<string[][]> {
  const configured = vscode.workspace.getConfiguration('infill').get<string[]>('server.command') ?? [];
  // A named server is the only one that may be used: falling through to another would hide the mistake.
  if (configured.length > 0) return [configured];
  const python = await selectedPython(log);
  return [
    ...(python !== undefined ? [[path.join(path.dirname(python), EXECUTABLE)]] : []),
    [EXECUTABLE],
    [path.join(os.homedir(), '.local', 'bin', EXECUTABLE)],
    [scriptIn(privateEnvironment(context))],
  ];
}

/** The absolute path of a program; undefined where there is none outside of a workspace that is not trusted. */
export function program(name: string): string | undefined {
  const untrusted = vscode.workspace.isTrusted ? [] : (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
  return locate(name, { path: process.env.PATH ?? '', windows: process.platform === 'win32', untrusted });
}

/** Ask a program for its version; undefined where it isn't there, fails, or takes over ten seconds. The log says which. */
export async function versionOf(command: string[], log: vscode.LogOutputChannel): Promise<string | undefined> {
  const [file, ...args] = command;
  if (file === undefined) return undefined;
  try {
    const { stdout } = await run(file, [...args, '--version'], { timeout: 10_000, cwd: os.homedir() });
    const version = versionIn(stdout);
    log.info(`${command.join(' ')}: ${version ? version.join('.') : 'says no version'}`);
    return version && isAtLeast(version, OLDEST) ? version.join('.') : undefined;
  } catch (error) {
    log.info(`${command.join(' ')}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

export async function findServer(context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Promise<Found | undefined> {
  for (const [name = '', ...args] of await candidates(context, log)) {
    const file = program(name);
    if (file === undefined) {
      log.info(`${name}: not found, or part of a workspace that is not trusted`);
      continue;
    }
    const command = [file, ...args];
    const version = await versionOf(command, log);
    if (version !== undefined) return { command, version };
  }
  return undefined;
}
