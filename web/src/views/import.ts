/** Pasted output of `ss`, `netstat`, `/proc/net/tcp` and `sysctl`, as a scenario. */

import type { Client } from '../client';
import { h } from '../dom';
import { failure } from './deferred';

export function importView(client: Client, made: (text: string) => void): HTMLElement {
    const table = h('textarea', {
        id: 'import-table',
        rows: 12,
        spellcheck: 'false',
        placeholder: 'State  Recv-Q Send-Q  Local Address:Port  Peer Address:Port\nESTAB  0      0       10.0.0.1:40000      10.0.0.9:443',
    });
    const sysctl = h('textarea', {
        id: 'import-sysctl',
        rows: 4,
        spellcheck: 'false',
        placeholder: 'net.ipv4.ip_local_port_range = 32768 60999',
    });
    const outcome = h('div', { role: 'status', class: 'status' });

    async function run(): Promise<void> {
        const reply = await client.ask('import', {
            text: table.value,
            ...(sysctl.value.trim() === '' ? {} : { sysctl: sysctl.value }),
        });
        if ('ok' in reply) {
            made(reply.ok.text);
            outcome.replaceChildren(
                h('p', {}, 'The scenario is in the editor.'),
                h('ul', {}, ...reply.ok.notes.map((note) => h('li', {}, note))),
            );
        } else if (!('long' in reply)) {
            outcome.replaceChildren(...failure(reply));
        }
    }

    return h(
        'section',
        { class: 'panel import' },
        h('p', {}, 'Paste the sockets of a host: nothing leaves this page.'),
        h(
            'label',
            { for: 'import-table' },
            'Sockets: ',
            h('code', {}, 'ss -tan'),
            ', ',
            h('code', {}, 'netstat -tan'),
            ' or ',
            h('code', {}, 'cat /proc/net/tcp'),
        ),
        table,
        h('label', { for: 'import-sysctl' }, 'Settings, if you have them: ', h('code', {}, 'sysctl -a')),
        sysctl,
        h(
            'div',
            { class: 'buttons' },
            h('button', { type: 'button', class: 'primary', click: () => void run() }, 'Make a scenario of it'),
        ),
        outcome,
    );
}
