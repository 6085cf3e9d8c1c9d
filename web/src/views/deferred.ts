/** A panel whose content is computed when it is looked at, with progress and a way to cancel. */

import type { Client } from '../client';
import { h } from '../dom';
import type { Reply, Requests, Verb } from '../protocol';

export interface Deferred {
    panel: HTMLElement;
    /** Computes the content if the panel is visible and out of date. */
    refresh(): void;
}

export interface Source<V extends Verb> {
    client: Client;
    verb: V;
    /** The request, or null while there is nothing to ask. */
    asked(): Requests[V]['asked'] | null;
    render(answer: Requests[V]['answer']): Node[];
    /** What is computed, as in "computing the fixes". */
    what: string;
}

export function deferred<V extends Verb>(source: Source<V>): Deferred {
    const content = h('div', { class: 'content' });
    const status = h('div', { class: 'status', role: 'status' });
    const panel = h('section', { class: 'panel' }, status, content);
    let shown: string | null = null;
    let running: AbortController | null = null;

    function refresh(patient = false): void {
        const asked = source.asked();
        const key = JSON.stringify(asked);
        if (panel.hidden || (key === shown && !patient)) {
            return;
        }
        running?.abort();
        shown = key;
        if (asked === null) {
            status.replaceChildren();
            content.replaceChildren(h('p', { class: 'quiet' }, 'There is nothing to show until the scenario runs.'));
            return;
        }
        void compute({ ...asked, ...(patient ? { patient } : {}) });
    }

    async function compute(asked: Requests[V]['asked']): Promise<void> {
        const controller = new AbortController();
        running = controller;
        const bar = h('progress', { 'aria-label': `computing ${source.what}` });
        const cancel = h('button', { type: 'button', click: () => controller.abort() }, 'Cancel');
        // What is over in a moment needs no progress.
        const timer = setTimeout(() => {
            status.replaceChildren(`Computing ${source.what} `, bar, ' ', cancel);
        }, 150);
        content.setAttribute('aria-busy', 'true');
        try {
            const reply = await source.client.ask(source.verb, asked, {
                signal: controller.signal,
                progress: (done, of) => {
                    bar.max = of;
                    bar.value = done;
                },
            });
            show(reply);
        } catch {
            if (running === controller) {
                const again = h('button', { type: 'button', click: () => refresh(true) }, 'Compute');
                status.replaceChildren(`Cancelled: ${source.what} `, again);
                content.replaceChildren();
            }
            return;
        } finally {
            clearTimeout(timer);
            if (running === controller) {
                content.removeAttribute('aria-busy');
            }
        }
    }

    function show(reply: Reply<Requests[V]['answer']>): void {
        status.replaceChildren();
        if ('ok' in reply) {
            content.replaceChildren(...source.render(reply.ok));
        } else if ('long' in reply) {
            const go = h('button', { type: 'button', click: () => refresh(true) }, 'Compute it');
            content.replaceChildren(h('p', {}, long(reply.long), ' ', go));
        } else {
            content.replaceChildren(...failure(reply));
        }
    }

    return { panel, refresh: () => refresh() };
}

/** The announcement of long work. */
export function long(need: { calls: number; seconds: number }): string {
    return `This makes ${need.calls.toLocaleString('en')} calls and may take ${need.seconds} s.`;
}

/** A reply that is no answer, in words. */
export function failure(reply: Exclude<Reply<unknown>, { ok: unknown } | { long: unknown }>): Node[] {
    if ('invalid' in reply) {
        return [h('pre', { class: 'bad' }, reply.invalid.text)];
    }
    const { message, help } = reply.error;
    return [
        h('p', { class: 'bad' }, `${message}.`),
        ...(help === null ? [] : [h('p', {}, `Help: ${help}.`)]),
    ];
}
