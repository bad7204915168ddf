/** Drives a real VS Code (code-server) in headless Chromium. Text is read from the saved file, never from the DOM: there, ghost text is mixed in. */

import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { createRequire } from 'node:module';

const EDITORS = process.env.INFILL_EDITORS;
const require = createRequire(path.join(EDITORS, 'vscode/app/'));
const { chromium } = require('playwright-core');
const ENTRY = fs.readFileSync(path.join(EDITORS, 'vscode/entry'), 'utf8').trim();
const GHOST = '.ghost-text-decoration, .ghost-text-decoration-preview';

const reachable = (url) =>
  new Promise((resolve) => {
    http.get(url, (answer) => { answer.resume(); resolve(answer.statusCode === 200); }).on('error', () => resolve(false));
  });
const freePort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)); });
  });

/** Wait for something true; the condition is asked every 50 ms until the deadline. */
export async function until(condition, sentence, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${sentence}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export class VSCode {
  /**
   * home: a fresh folder for everything; files: name -> text of the workspace; settings: the machine's;
   * environment: of the editor and all that it starts. Offline by default: then a new user is not asked whether to download a better model.
   */
  static async start(home, files, settings = {}, environment = { HF_HUB_OFFLINE: '1' }) {
    const editor = new VSCode();
    editor.home = home;
    editor.environment = environment;
    editor.workspace = path.join(home, 'workspace');
    for (const folder of ['data/User', 'data/Machine', 'extensions', 'workspace', 'home']) fs.mkdirSync(path.join(home, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(path.dirname(path.join(editor.workspace, name)), { recursive: true });
      fs.writeFileSync(path.join(editor.workspace, name), text);
    }
    fs.writeFileSync(path.join(home, 'config.yaml'), 'auth: none\ncert: false\n');
    fs.writeFileSync(path.join(home, 'data/User/settings.json'), JSON.stringify({
      'editor.inlineSuggest.enabled': true, 'editor.quickSuggestions': { other: 'off', comments: 'off', strings: 'off' },
      'editor.suggestOnTriggerCharacters': false, 'editor.cursorBlinking': 'solid', 'editor.accessibilitySupport': 'off', 'editor.autoIndent': 'none',
      'workbench.startupEditor': 'none', 'workbench.tips.enabled': false, 'workbench.enableExperiments': false,
      'workbench.secondarySideBar.defaultVisibility': 'hidden', 'security.workspace.trust.enabled': false, 'telemetry.telemetryLevel': 'off',
      'update.mode': 'none', 'extensions.autoCheckUpdates': false, 'extensions.autoUpdate': false, 'chat.disableAIFeatures': true, 'git.enabled': false,
    }));
    // code-server is a remote window: machine-scoped settings are taken from the remote machine's file alone
    fs.writeFileSync(path.join(home, 'data/Machine/settings.json'), JSON.stringify(settings));
    await editor.#launch();
    return editor;
  }

  async #launch() {
    const base = ['--config', path.join(this.home, 'config.yaml'), '--user-data-dir', path.join(this.home, 'data'), '--extensions-dir', path.join(this.home, 'extensions')];
    const env = {
      ...process.env, HOME: path.join(this.home, 'home'), INFILL_HOME: path.join(this.home, 'infill'), ...this.environment,
      // the gallery is asked at every start: a dead port answers at once
      EXTENSIONS_GALLERY: JSON.stringify({ serviceUrl: 'http://127.0.0.1:9', itemUrl: '', resourceUrlTemplate: '' }),
    };
    execFileSync(process.execPath, [ENTRY, ...base, '--install-extension', process.env.INFILL_VSIX], { env, stdio: 'ignore' });
    this.port = await freePort();
    const log = fs.openSync(path.join(this.home, 'code-server.log'), 'w');
    this.process = spawn(process.execPath, [ENTRY, ...base, '--bind-addr', `127.0.0.1:${this.port}`, '--auth', 'none', '--disable-telemetry', '--disable-update-check', '--disable-workspace-trust', this.workspace], { env, stdio: ['ignore', log, log], detached: true });
    await until(() => reachable(`http://127.0.0.1:${this.port}/healthz`), 'code-server is up', 60);
    this.browser = await chromium.launch({
      executablePath: '/usr/bin/chromium', headless: true,
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
    });
    this.page = await this.window();
  }

  /** Another window on the same workspace. */
  async window() {
    const context = await this.browser.newContext({ viewport: { width: 1180, height: 680 }, serviceWorkers: 'block' });
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${this.port}/?folder=${this.workspace}`);
    await page.waitForSelector('.monaco-workbench', { timeout: 90_000 });
    return page;
  }

  async open(name, page = this.page) {
    await page.locator('.explorer-folders-view .monaco-list-row', { hasText: name }).dblclick({ timeout: 60_000 });
    await page.waitForSelector(`.tab.active:has-text("${name}")`);
    await page.locator('.monaco-editor .view-lines').first().click();
    await page.keyboard.press('Control+End');
  }

  status(text, page = this.page, seconds = 60) {
    return page.waitForSelector(`.statusbar-item[id="infill.infill.infill.status"]:has-text("${text}")`, { timeout: seconds * 1000 });
  }

  /** The first line of the ghost text on the screen; undefined: none. */
  async ghost(page = this.page) {
    const parts = await page.locator(GHOST).allInnerTexts();
    return parts.length === 0 ? undefined : parts.join('').replaceAll('\u00a0', ' ');
  }

  appears(page = this.page, seconds = 20) {
    return until(() => this.ghost(page), 'ghost text appears', seconds);
  }

  vanishes(page = this.page) {
    return until(async () => (await this.ghost(page)) === undefined, 'the ghost text is gone');
  }

  async type(text, page = this.page) {
    await page.keyboard.type(text, { delay: 15 });
  }

  press(key, page = this.page) {
    return page.keyboard.press(key);
  }

  async command(title, page = this.page) {
    await page.keyboard.press('F1');
    await page.waitForSelector('.quick-input-widget input');
    await page.keyboard.type(title, { delay: 5 });
    await page.waitForSelector(`.quick-input-list .monaco-list-row:has-text("${title}")`);
    await page.keyboard.press('Enter');
  }

  /** Choose the entry of an open quick pick that contains the text. */
  async pick(text, page = this.page) {
    const row = page.locator(`.quick-input-list .monaco-list-row:has-text("${text}")`).first();
    await row.waitFor({ timeout: 30_000 });
    await row.click();
  }

  async saved(name, page = this.page) {
    const file = path.join(this.workspace, name);
    const before = fs.statSync(file).mtimeMs;
    await page.keyboard.press('Control+s');
    // the file is emptied, then written: only the tab's mark says that it is whole
    const whole = async () => fs.statSync(file).mtimeMs > before && !(await page.locator('.tab.active.dirty').count()) && fs.readFileSync(file, 'utf8');
    return until(whole, `${name} is saved`);
  }

  /** Press a button of a notification that contains the text. */
  async answer(text, button, page = this.page) {
    const toast = page.locator(`.notifications-toasts .notification-list-item:has-text("${text}")`).first();
    await toast.waitFor({ timeout: 60_000 });
    await toast.hover();
    await toast.locator(`.monaco-button:has-text("${button}")`).click();
  }

  screenshot(name, page = this.page) {
    return page.screenshot({ path: path.join(this.home, `${name}.png`) });
  }

  async close() {
    await this.browser?.close();
    try { process.kill(-this.process.pid, 'SIGTERM'); } catch { /* already gone */ }
    // the engine outlives its editors by design, for a while
    const env = { ...process.env, INFILL_HOME: path.join(this.home, 'infill') };
    if (process.env.INFILL_SERVER) try { execFileSync(process.env.INFILL_SERVER, ['engine', 'stop'], { env, stdio: 'ignore' }); } catch { /* none ran */ }
  }
}
