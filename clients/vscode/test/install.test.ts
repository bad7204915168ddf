import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ExtensionContext } from 'vscode';
import { privateEnvironment, scriptIn } from '../src/find';
import { failureText, isOutdated, progressText } from '../src/install';
import { set } from './vscode';

const context = { globalStorageUri: { fsPath: '/storage' }, extension: { packageJSON: { version: '0.2.0' } } } as unknown as ExtensionContext;
const own = [scriptIn(privateEnvironment(context))];

afterEach(() => { set('infill.server.package', undefined); });

test('the extension offers to upgrade the older server that it installed itself', () => {
  assert.equal(isOutdated(context, { command: own, version: '0.1.9' }), true);
  assert.equal(isOutdated(context, { command: own, version: '0.2.0' }), false);
});

test('a server of the person\'s own is left alone, and so is a package that a setting names', () => {
  assert.equal(isOutdated(context, { command: ['infill'], version: '0.1.9' }), false);
  set('infill.server.package', '/somewhere/infill');
  assert.equal(isOutdated(context, { command: own, version: '0.1.9' }), false);
});

test('the progress says phase, step and time', () => {
  assert.equal(progressText({ phase: 'Compiling llama.cpp for this machine', done: 12, steps: 83 }, 75), 'Compiling llama.cpp for this machine, step 12 of 83 (1:15)');
  assert.equal(progressText({ phase: 'Fetching a prebuilt llama.cpp (cpu)', done: 0, steps: 0 }, 5.4), 'Fetching a prebuilt llama.cpp (cpu) (0:05)');
});

test('a failure says what happened, the first reason and the next step', () => {
  const failure = { error: 'llama.cpp could not be compiled.', lines: ['x.cpp:1: fatal error: omp.h: No such file', 'second'], hint: 'Run this again.' };
  assert.equal(failureText(failure), 'llama.cpp could not be compiled. x.cpp:1: fatal error: omp.h: No such file Run this again.');
  assert.equal(failureText({ error: 'No compiler.', hint: 'Install one.' }), 'No compiler. Install one.');
});
