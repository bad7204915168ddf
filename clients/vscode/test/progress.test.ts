import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Bars } from '../src/progress';
import { notifications } from './vscode';

const begin = { kind: 'begin', title: 'downloading', cancellable: true } as const;
const cancelled: (string | number)[] = [];
const passedOn: string[] = [];
let bars: Bars;
const step = (value: Parameters<Bars['handle']>[1]): void => { bars.handle('a', value, (_token, passed) => passedOn.push(passed.kind)); };

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  for (const list of [notifications, cancelled, passedOn]) list.length = 0;
  bars = new Bars((token) => cancelled.push(token));
});

test('what was told before the notification is on the screen is on it from the start', () => {
  step(begin);
  step({ kind: 'report', message: '3 MB', percentage: 30 });
  assert.equal(notifications.length, 0);
  mock.timers.tick(1000);
  step({ kind: 'report', message: '5 MB', percentage: 50 });
  assert.deepEqual(notifications[0]?.told, [{ message: '3 MB', increment: 30 }, { message: '5 MB', increment: 20 }]);
});

test('what ends at once shows nothing', async () => {
  step(begin);
  step({ kind: 'end' });
  await Promise.resolve();
  mock.timers.tick(1000);
  assert.deepEqual(notifications, []);
});

test('Cancel reaches the server, and what then ends is no error, once', () => {
  step(begin);
  mock.timers.tick(1000);
  notifications[0]?.cancel();
  assert.deepEqual(cancelled, ['a']);
  assert.deepEqual([bars.wasCancelled(), bars.wasCancelled()], [true, false]);
});

test('with the server gone nothing stays on the screen', async () => {
  step(begin);
  mock.timers.tick(1000);
  bars.closeAll();
  await new Promise(setImmediate);
  assert.equal(notifications[0]?.closed, true);
});

test('what cannot be cancelled is left to the library', () => {
  step({ kind: 'begin', title: 'indexing' });
  step({ kind: 'end' });
  assert.deepEqual(passedOn, ['begin', 'end']);
});
