/** Pasted output of `ss`, `netstat`, `/proc/net/tcp` and `sysctl`, as one scenario. */

import type { Client } from '../client';
import { h } from '../dom';
import type { Capture, Reply, Understood } from '../protocol';
import { Status } from '../status';
import { tabs } from '../tabs';
import { failure } from './deferred';

/** Time after the last keystroke until a capture is read. */
const IDLE_MS = 250;
/** Time after which an import is reported as going on. */
const SLOW_MS = 300;

interface Tool {
    id: string;
    tool: Capture['tool'];
    command: string;
    example: string;
}

const TOOLS: readonly Tool[] = [
    {
        id: 'ss',
        tool: 'ss',
        command: 'ss -tano',
        example: 'State  Recv-Q Send-Q  Local Address:Port  Peer Address:Port\nESTAB  0      0       10.0.0.1:40000      10.0.0.9:443',
    },
    {
        id: 'netstat',
        tool: 'netstat',
        command: 'netstat -tano',
        example: 'tcp  0  0 10.0.0.1:40000  10.0.0.9:443  ESTABLISHED',
    },
    {
        id: 'proc',
        tool: '/proc/net/tcp',
        command: 'cat /proc/net/tcp /proc/net/tcp6',
        example: '  sl  local_address rem_address   st\n   0: 0100000A:9C40 0900000A:01BB 01',
    },
    {
        id: 'sysctl',
        tool: 'sysctl',
        command: 'sysctl -a',
        example: 'net.ipv4.ip_local_port_range = 32768 60999',
    },
];

/** `quick` reads what is pasted, `deep` imports it. */
export function importView(quick: Client, deep: Client, made: (text: string) => void): HTMLElement {
    const sources = TOOLS.map((tool) => source(quick, tool));
    const status = new Status();
    const outcome = h('div', { role: 'status', class: 'status' });
    const choice = tabs(
        'Output of',
        sources.map(({ tool, panel }) => ({ id: `import-${tool.id}`, title: tool.tool, panel })),
    );

    async function run(): Promise<void> {
        const captures = sources
            .map(({ tool, text }) => ({ tool: tool.tool, text: text() }))
            .filter(({ text }) => text.trim() !== '');
        if (captures.length === 0) {
            outcome.replaceChildren('There is nothing to import yet: paste the output of one of the tools.');
            return;
        }
        const controller = new AbortController();
        const { signal } = controller;
        const slow = setTimeout(() => status.working('Importing', () => controller.abort()), SLOW_MS);
        const reply = await deep.ask('import', { captures }, { signal }).catch(() => null);
        clearTimeout(slow);
        status.settle();
        if (reply === null) {
            outcome.replaceChildren('Cancelled.');
        } else if ('ok' in reply) {
            made(reply.ok.text);
            outcome.replaceChildren(
                h('p', {}, 'The scenario is in the editor.'),
                h('ul', {}, ...reply.ok.notes.map((note) => h('li', {}, note))),
            );
        } else if (!('long' in reply)) {
            outcome.replaceChildren(...failure(reply));
        }
    }

    choice.select(`import-${TOOLS[0]?.id ?? ''}`);
    return h(
        'section',
        { class: 'panel import' },
        h(
            'p',
            {},
            'Paste what the tools print on one host. The tabs are imported together, each socket once. Nothing leaves this page.',
        ),
        choice.list,
        choice.panels,
        h(
            'div',
            { class: 'buttons' },
            h('button', { type: 'button', class: 'primary', click: () => void run() }, 'Make a scenario of it'),
        ),
        status.element,
        outcome,
    );
}

/** The box of a tool, with what is understood of its text. */
function source(client: Client, tool: Tool): { tool: Tool; panel: HTMLElement; text(): string } {
    const read = h('div', { class: 'read', role: 'status' });
    const box = h('textarea', {
        id: `paste-${tool.id}`,
        rows: 12,
        spellcheck: 'false',
        placeholder: tool.example,
        input: () => {
            clearTimeout(idle);
            idle = setTimeout(() => void look(), IDLE_MS);
        },
    });
    let idle: ReturnType<typeof setTimeout> | undefined;

    async function look(): Promise<void> {
        const text = box.value;
        if (text.trim() === '') {
            read.replaceChildren();
            return;
        }
        const reply = await client.ask('understood', { tool: tool.tool, text });
        if (text === box.value) {
            read.replaceChildren(...understood(reply, box));
        }
    }

    const panel = h(
        'section',
        { class: 'capture' },
        h('label', { for: `paste-${tool.id}` }, 'Output of ', h('code', {}, tool.command)),
        box,
        read,
    );
    return { tool, panel, text: () => box.value };
}

/** What is understood of a text; lines that are not lead to their places. */
function understood(reply: Reply<Understood>, box: HTMLTextAreaElement): Node[] {
    if ('long' in reply) {
        return [];
    }
    if (!('ok' in reply)) {
        return failure(reply);
    }
    const { contents, left_out, odd, odd_total } = reply.ok;
    const place = ({ line, from, to }: Understood['odd'][number]) => {
        const go = () => {
            box.focus();
            box.setSelectionRange(from, to);
        };
        const text = box.value.slice(from, Math.min(to, from + 60)).trim();
        return h('li', {}, h('button', { type: 'button', click: go }, `Line ${line}`), ' ', h('code', {}, text));
    };
    const nodes: (Node | false)[] = [
        h('p', {}, `Understood: ${contents}.`),
        left_out.length > 0 && h('ul', {}, ...left_out.map((text) => h('li', {}, `Left out: ${text}`))),
        odd.length > 0 && h('p', { class: 'bad' }, `Not understood: ${odd_total === 1 ? '1 line' : `${odd_total} lines`}.`),
        odd.length > 0 && h('ul', { class: 'odd' }, ...odd.map(place)),
    ];
    return nodes.filter((node) => node !== false);
}
