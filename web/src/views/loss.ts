/** The SYNs that a NAT host loses as its ports fill. */

import { h, table } from '../dom';
import type { ThroughNat } from '../protocol';
import { chart } from './chart';

const NOTHING = { fill: 0, value: 0 };

export function lossView(through: ThroughNat): Node[] {
    const { host, ports, range, shared_by, per_second, by, loss } = through;
    const rate = per_second === null ? 'no limit per second' : `${per_second.toFixed(1)} connections per second`;
    const title = `SYNs that ${host} loses`;
    const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
    const rows = loss.map((one) => ({
        fill: `${one.fill} % (${one.connections})`,
        block: percent(one.block),
        scattered: percent(one.scattered),
    }));
    const line = (name: string, of: (one: ThroughNat['loss'][number]) => number) => ({
        name,
        points: [NOTHING, ...loss.map((one) => ({ fill: one.fill, value: of(one) }))],
    });
    return [
        h(
            'p',
            {},
            `Through NAT on ${host}: ${ports} ports (${range}) towards each destination for ${shared_by}; ${rate}: ${by}.`,
        ),
        chart({
            title,
            words: rows
                .map((row) => `${row.fill} in use: ${row.block} in a block, ${row.scattered} scattered`)
                .join('; '),
            top: 1,
            label: 'all',
            lines: [
                line('ports in use in one block, as kept ports are', (one) => one.block),
                line('ports in use anywhere', (one) => one.scattered),
            ],
        }),
        h(
            'details',
            {},
            h('summary', {}, `${title}, as a table`),
            table(
                title,
                ['ports in use', 'SYNs lost, ports in a block', 'scattered'],
                rows.map((row) => [row.fill, row.block, row.scattered]),
            ),
        ),
    ];
}
