/** Which file a program's name means: always an absolute path, and never a file of a workspace that the user does not trust.
 *
 * The system's own lookup is not used: on Windows it looks into the current folder first, which may be a cloned repository.
 */

import * as fs from 'node:fs';
import * as path from 'node:path';

export interface Surroundings {
  /** PATH as the system has it. */
  path: string;
  windows: boolean;
  /** The folders of the workspace, where the user does not trust it. */
  untrusted: string[];
  isFile?: (file: string) => boolean;
}

/** The path of a program that is part of Windows, which would look for its bare name in the current folder first. */
export function systemProgram(name: string): string {
  return path.win32.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', name);
}

function executable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

function isInside(file: string, folders: string[], windows: boolean): boolean {
  const tools = windows ? path.win32 : path.posix;
  const real = (name: string): string => {
    try {
      return fs.realpathSync(name);
    } catch {
      return name;
    }
  };
  const form = (name: string): string => (windows ? tools.normalize(name).toLowerCase() : tools.normalize(name));
  return folders.some((folder) => [[file, folder], [real(file), real(folder)]].some(([one = '', other = '']) => {
    const between = tools.relative(form(other), form(one));
    return between === '' || (between.split(tools.sep)[0] !== '..' && !tools.isAbsolute(between));
  }));
}

/** The absolute path of a program, or undefined where there is none that may be started. A relative path is none: relative to what? */
export function locate(name: string, { path: search, windows, untrusted, isFile = executable }: Surroundings): string | undefined {
  const tools = windows ? path.win32 : path.posix;
  if (!tools.isAbsolute(name) && /[\\/]/.test(name)) return undefined;
  const names = windows && !/\.(exe|com|cmd|bat)$/i.test(name) ? [`${name}.exe`, `${name}.cmd`] : [name];
  const folders = tools.isAbsolute(name) ? [''] : search.split(tools.delimiter).filter((folder) => tools.isAbsolute(folder));
  const files = folders.flatMap((folder) => names.map((one) => (folder === '' ? one : tools.join(folder, one))));
  return files.find((file) => isFile(file) && !isInside(file, untrusted, windows));
}
