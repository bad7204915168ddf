import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ExtensionContext } from 'vscode';
import { privateEnvironment, scriptIn } from '../src/find';
import { isOutdated } from '../src/install';
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
