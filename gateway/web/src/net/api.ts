// HTTP: answers as values of their types, problems as one error with its document.

import { delayMs } from "../core/backoff.ts";
import { refusal } from "../core/refusals.ts";
import type { ProblemDocument } from "../wire_http.ts";

const TRIES = 4;

/** The server said no. `message` is for people. */
export class Problem extends Error {
  readonly document: ProblemDocument;

  constructor(document: ProblemDocument) {
    super(refusal(document.code, document.detail, document));
    this.document = document;
  }
}

export class Api {
  private readonly token: () => string | null;

  constructor(token: () => string | null) {
    this.token = token;
  }

  get<Answer>(path: string, tries = TRIES): Promise<Answer> {
    return this.ask<Answer>("GET", path, undefined, tries);
  }

  /** Bodies carry their own id, so that asking again after a lost answer is safe. */
  post<Answer>(path: string, body: object): Promise<Answer> {
    return this.ask<Answer>("POST", path, body, "id" in body ? TRIES : 1);
  }

  /** Says what is to hold from then on, so that asking again after a lost answer is safe. */
  put<Answer>(path: string, body: object): Promise<Answer> {
    return this.ask<Answer>("PUT", path, body, TRIES);
  }

  delete(path: string): Promise<null> {
    return this.ask<null>("DELETE", path, undefined, 1);
  }

  private async ask<Answer>(method: string, path: string, body: object | undefined, tries: number): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.once<Answer>(method, path, body);
      } catch (error) {
        const again = error instanceof Problem ? error.document.retryable : error instanceof TypeError;
        if (!again || attempt + 1 >= tries) throw error;
        const least = error instanceof Problem ? (error.document.retry_after_ms ?? 0) : 0;
        await new Promise((resolve) => setTimeout(resolve, least + delayMs(attempt + 1, Math.random())));
      }
    }
  }

  private async once<Answer>(method: string, path: string, body: object | undefined): Promise<Answer> {
    const token = this.token();
    const headers: Record<string, string> = { Accept: "application/json" };
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (response.ok) return (response.status === 204 ? null : await response.json()) as Answer;
    throw new Problem(await problemOf(response));
  }
}

/** A sentence for whatever went wrong. */
export function wordsFor(error: unknown): string {
  if (error instanceof Problem) return error.message;
  return "The server cannot be reached. Check the connection and try again.";
}

async function problemOf(response: Response): Promise<ProblemDocument> {
  const document = (await response.json().catch(() => null)) as ProblemDocument | null;
  if (document !== null && typeof document.code === "string") return document;
  return { type: "about:blank", title: "", status: response.status, code: "internal", retryable: response.status >= 500 };
}
