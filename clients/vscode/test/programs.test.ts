import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { locate, systemProgram } from '../src/programs';

const files = (...names: string[]) => (file: string) => names.includes(file);
const posix = { path: '/usr/bin:/home/me/bin', windows: false, untrusted: [] as string[] };
const windows = { path: 'C:\\Windows;C:\\Tools', windows: true, untrusted: [] as string[] };

test('a name is looked up in the absolute folders of PATH alone', () => {
  assert.equal(locate('infill', { ...posix, isFile: files('/home/me/bin/infill') }), '/home/me/bin/infill');
  assert.equal(locate('infill', { ...posix, path: '.:bin::/usr/bin', isFile: files('infill', './infill', 'bin/infill') }), undefined);
});

test('on Windows the current folder is not looked into, and a name needs no ending', () => {
  assert.equal(locate('infill.exe', { ...windows, isFile: files('infill.exe', '.\\infill.exe') }), undefined);
  assert.equal(locate('python', { ...windows, isFile: files('C:\\Tools\\python.exe') }), 'C:\\Tools\\python.exe');
});

test('a program of Windows is started from its folder', () => {
  assert.match(systemProgram('taskkill.exe'), /^[A-Z]:\\.*\\System32\\taskkill\.exe$/i);
});

test('a relative path is no program', () => {
  assert.equal(locate('./infill', { ...posix, isFile: () => true }), undefined);
  assert.equal(locate('sub\\infill.exe', { ...windows, isFile: () => true }), undefined);
});

test('a file of an untrusted workspace is not started, by whichever name', () => {
  const untrusted = ['/home/me/open'];
  for (const program of ['/home/me/open/.venv/bin/infill', '/home/me/open/infill', '/home/me/other/../open/infill', '/home/me/open/..venv/bin/infill', '/home/me/open/...']) {
    assert.equal(locate(program, { ...posix, untrusted, isFile: () => true }), undefined, program);
  }
  assert.equal(locate('infill', { ...posix, path: '/home/me/open/bin:/usr/bin', untrusted, isFile: () => true }), '/usr/bin/infill');
  assert.equal(locate('/home/me/openshop/infill', { ...posix, untrusted, isFile: () => true }), '/home/me/openshop/infill');
  assert.equal(locate('C:\\WORK\\infill.exe', { ...windows, untrusted: ['c:\\work'], isFile: () => true }), undefined);
});

test('a link to a file of an untrusted workspace counts as that file', { skip: process.platform === 'win32' }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'infill-'));
  fs.mkdirSync(path.join(folder, 'work'));
  fs.writeFileSync(path.join(folder, 'work', 'infill'), '#!/bin/sh\n', { mode: 0o755 });
  fs.symlinkSync(path.join(folder, 'work', 'infill'), path.join(folder, 'infill'));
  const link = path.join(folder, 'infill');
  assert.equal(locate(link, posix), link);
  assert.equal(locate(link, { ...posix, untrusted: [path.join(folder, 'work')] }), undefined);
});
