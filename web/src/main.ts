/** The page: an editor on one side, the answers of the model on the other. */

import example from '../../scenarios/rhel-6.5/connect-after-bind.yaml?raw';
import { Client } from './client';
import { h } from './dom';
import { editor } from './editor';
import { Latest } from './latest';
import type { About, Asked } from './protocol';
import { decode, encode, overrides, type Shared } from './share';
import { Status } from './status';
import { Store } from './store';
import { tabs } from './tabs';
import { answerView } from './views/answer';
import { controls } from './views/controls';
import { chooseScenario } from './views/corpus';
import { importView } from './views/import';
import { problemList } from './views/problems';

/** The name of a scenario that is not one of the corpus. */
const FILE = 'scenario.yaml';
const EXAMPLE = 'scenarios/rhel-6.5/connect-after-bind.yaml';

/** Time after the last answer until the scenario is searched for settings without effect. */
const IDLE_MS = 600;
/** Time after which a run is reported as going on. */
const SLOW_MS = 300;

// One worker answers while text is typed, the other does what takes longer.
const quick = new Client();
const deep = new Client();

function start(about: About): void {
    const store = new Store({ text: example, file: EXAMPLE, kernel: null, seed: null });
    const status = new Status();
    let patient = false;
    let idle: ReturnType<typeof setTimeout> | undefined;

    const source = editor({
        changed: (text) => {
            // A changed scenario of the corpus is no longer that file.
            store.set({ text, file: text === store.state.text ? store.state.file : FILE });
        },
        kernels: () => about.kernels.map((kernel) => kernel.name),
    });
    const problems = problemList(source);
    const answer = answerView(deep, {
        asked,
        apply: (text) => {
            open({ ...store.state, text }, FILE);
            status.announce('The fix is applied.');
        },
        runAnyway: () => {
            patient = true;
            void latest.start();
        },
    });
    const input = tabs('Input', [
        { id: 'scenario', title: 'Scenario', panel: h('section', { class: 'panel' }, source.element) },
        {
            id: 'import',
            title: 'Import',
            panel: importView(quick, deep, (text) => {
                open({ ...store.state, text }, FILE);
                status.announce('The capture is a scenario now.');
            }),
        },
    ]);

    /** The request about the scenario with the overrides of the page. */
    function asked(): Asked {
        const { text, file, kernel, seed } = store.state;
        return {
            text,
            file,
            ...(kernel === null ? {} : { kernel: [kernel] }),
            ...(seed === null ? {} : { seed }),
        };
    }

    /** Opens a scenario, as one edit of the text. */
    function open(shared: Shared, file: string): void {
        const { text, kernel, seed } = shared;
        store.set({ text, file, kernel, seed });
        source.replace(text);
        input.select('scenario');
    }

    async function run(signal: AbortSignal, cancel: () => void): Promise<void> {
        const slow = setTimeout(() => status.working('Running the scenario', cancel), SLOW_MS);
        try {
            const begun = performance.now();
            const reply = await quick.ask('run', { ...asked(), patient }, { signal });
            performance.measure('answer', { start: begun, end: performance.now() });
            problems.show('invalid' in reply ? reply.invalid.problems : []);
            answer.show(reply);
            if ('ok' in reply) {
                idle = setTimeout(() => void examine(), IDLE_MS);
            }
        } finally {
            clearTimeout(slow);
        }
    }

    const latest = new Latest(
        (signal, cancel) => {
            clearTimeout(idle);
            return run(signal, cancel);
        },
        (isCancelled) => {
            patient = false;
            if (isCancelled) {
                status.announce('Cancelled.');
            } else {
                status.settle();
            }
            // Tests wait for it.
            const { dataset } = document.body;
            dataset['answered'] = String(Number(dataset['answered'] ?? 0) + 1);
        },
    );

    /** Looks for settings without effect. */
    async function examine(): Promise<void> {
        const about = store.state;
        const reply = await quick.ask('lint', asked());
        if ('ok' in reply && store.state === about) {
            problems.show(reply.ok.problems);
        }
    }

    async function share(): Promise<void> {
        history.replaceState(null, '', `#${await encode(store.state)}`);
        try {
            await navigator.clipboard.writeText(location.href);
            status.announce('The address is copied; it contains the scenario.');
        } catch {
            status.announce('The address bar has the address; it contains the scenario.');
        }
    }

    /** Opens the scenario that the address contains or names. */
    async function openFragment(): Promise<void> {
        const fragment = location.hash.slice(1);
        const name = new URLSearchParams(fragment.slice(0, 1000)).get('corpus');
        try {
            if (name !== null) {
                const { corpus } = await import('./corpus');
                const found = corpus.find((one) => one.name === name);
                if (found === undefined) {
                    status.announce('There is no such scenario.');
                } else {
                    open({ text: found.text, ...overrides(new URLSearchParams(fragment)) }, found.file);
                }
            } else {
                const shared = await decode(fragment);
                if (shared !== null) {
                    open(shared, FILE);
                }
            }
        } catch {
            status.announce('This address contains no scenario that can be read.');
        }
    }

    async function choose(): Promise<void> {
        await chooseScenario(({ name, text, file }) => {
            history.replaceState(null, '', `#${new URLSearchParams({ corpus: name })}`);
            open({ ...store.state, text }, file);
        });
    }

    document.body.append(
        h(
            'header',
            {},
            h('h1', {}, 'fourtuple'),
            h(
                'p',
                { class: 'lead' },
                'Which local port, or which errno, Linux gives to each bind() and connect(), and why',
            ),
            h(
                'div',
                { class: 'buttons' },
                h('button', { type: 'button', click: () => void choose() }, 'Scenarios …'),
                h('button', { type: 'button', class: 'primary', click: () => void share() }, 'Share'),
            ),
        ),
        h(
            'main',
            {},
            h('section', { class: 'input', 'aria-label': 'Input' }, input.list, input.panels, problems.element),
            h(
                'section',
                { class: 'answer', id: 'answer', 'aria-label': 'Answer', tabindex: -1 },
                controls(store, about),
                status.element,
                ...answer.nodes,
            ),
        ),
        h(
            'footer',
            {},
            h('p', {}, `fourtuple ${about.version}. The model runs in this page; nothing is sent anywhere.`),
        ),
    );
    input.select('scenario');
    source.replace(store.state.text);
    store.subscribe(() => void latest.start());
    addEventListener('hashchange', () => void openFragment());
    void openFragment().then(() => latest.start());
}

const reply = await quick.ask('about', {});
if ('ok' in reply) {
    start(reply.ok);
} else {
    const text = 'The model failed to load. This page needs WebAssembly.';
    document.body.append(h('main', {}, h('p', { class: 'bad' }, text)));
}
