/** The page's end of a worker: one request at a time, each of which can be cancelled. */

import type { Reply, Requests, Verb } from './protocol';
import script from './worker?worker&url';

type Message = { reply: string; bytes: number } | { failed: string } | { done: number; of: number };

interface Job {
    request: string;
    resolve(reply: Reply<unknown>): void;
    reject(error: Error): void;
    progress?: ((done: number, of: number) => void) | undefined;
    signal?: AbortSignal | undefined;
}

/** Memory that a worker may keep: WebAssembly gives none back, so that it ends beyond. */
const MOST_BYTES = 256 << 20;

export interface Options {
    signal?: AbortSignal;
    progress?: (done: number, of: number) => void;
}

interface ScriptPolicy {
    createScriptURL(address: string): string;
}

declare global {
    /** Trusted Types, where the browser has them. */
    var trustedTypes:
        | { createPolicy(name: string, rules: ScriptPolicy): ScriptPolicy }
        | undefined;
}

const policy = globalThis.trustedTypes?.createPolicy('worker', {
    createScriptURL: (address) => {
        if (address !== script) {
            throw new TypeError(`not the worker of this page: ${address}`);
        }
        return address;
    },
});

/** A worker, which starts with the first request. */
export class Client {
    private worker: Worker | null = null;
    private current: Job | null = null;
    private readonly waiting: Job[] = [];

    /** Asks the model. Rejects with an `AbortError` once the signal is aborted. */
    ask<V extends Verb>(
        verb: V,
        asked: Requests[V]['asked'],
        options: Options = {},
    ): Promise<Reply<Requests[V]['answer']>> {
        return new Promise((resolve, reject) => {
            const { signal, progress } = options;
            if (signal?.aborted) {
                reject(aborted());
                return;
            }
            const job: Job = {
                request: JSON.stringify({ do: verb, ...asked }),
                resolve: (reply) => resolve(reply as Reply<Requests[V]['answer']>),
                reject,
                progress,
                signal,
            };
            signal?.addEventListener('abort', () => this.cancel(job), { once: true });
            this.waiting.push(job);
            this.next();
        });
    }

    private next(): void {
        if (this.current !== null) {
            return;
        }
        const job = this.waiting.shift();
        if (job === undefined) {
            return;
        }
        this.current = job;
        this.running().postMessage(job.request);
    }

    private running(): Worker {
        if (this.worker === null) {
            const address = policy?.createScriptURL(script) ?? script;
            this.worker = new Worker(address, { type: 'module' });
            this.worker.addEventListener('message', ({ data }: MessageEvent<Message>) => {
                this.hear(data);
            });
            this.worker.addEventListener('error', (event) => {
                this.fail(event.message || 'the model failed to load');
            });
        }
        return this.worker;
    }

    private hear(message: Message): void {
        if ('done' in message) {
            this.current?.progress?.(message.done, message.of);
        } else if ('failed' in message) {
            this.fail(message.failed);
        } else {
            this.current?.resolve(JSON.parse(message.reply) as Reply<unknown>);
            this.current = null;
            if (message.bytes > MOST_BYTES) {
                this.stop();
            }
            this.next();
        }
    }

    private fail(reason: string): void {
        this.stop();
        this.current?.resolve({
            error: {
                message: `the model stopped: ${reason}`,
                help: 'this is a bug; the scenario above reproduces it',
            },
        });
        this.current = null;
        this.next();
    }

    private cancel(job: Job): void {
        if (this.current === job) {
            // WebAssembly cannot be interrupted: the worker ends, and the next request starts one.
            this.stop();
            this.current = null;
        } else if (!this.waiting.includes(job)) {
            return;
        } else {
            this.waiting.splice(this.waiting.indexOf(job), 1);
        }
        job.reject(aborted());
        this.next();
    }

    private stop(): void {
        this.worker?.terminate();
        this.worker = null;
    }
}

function aborted(): DOMException {
    return new DOMException('cancelled', 'AbortError');
}
