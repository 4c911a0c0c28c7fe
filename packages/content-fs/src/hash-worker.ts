import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { parentPort } from "node:worker_threads";
import { giveWay } from "@varve/locks";
import type { HashFailure, HashNews, HashOrder } from "./hash-wire.ts";
import { pieceSize, ReadAhead } from "./read-ahead.ts";

// The hash thread: follows files while they grow, through descriptors that the main thread has opened and will close. It
// is lent the bytes that are being written, and reads those that it was not lent, or could not keep up with, from the file.

/** Pieces of one file before the others get their turn. */
const turn = 8;
const tellEvery = 32 * 1024 * 1024;
/** A job that is further behind gives pieces back at once, so that nobody waits for it. */
const mayWaitFor = 4 * 1024 * 1024;

interface Piece {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly position: number;
}

interface Job {
  readonly id: number;
  readonly fd: number;
  readonly hash: Hash;
  hashed: number;
  told: number;
  size: number;
  /** A digest is wanted as soon as all bytes are hashed. */
  asked: boolean;
  /** The file is going to be closed. */
  dropped: boolean;
  failure: HashFailure | undefined;
  /** Lent, in the order of the file. */
  readonly pieces: Piece[];
}

giveWay();

const jobs = new Map<number, Job>();
const files = new ReadAhead((fd) => {
  for (const job of jobs.values()) if (job.fd === fd && job.dropped) drop(job);
});
let scheduled = false;
let current: Job | undefined;
let left = 0;

parentPort?.on("message", (order: HashOrder) => {
  if (order.kind === "open") open(order.job, order.fd, order.algorithm);
  const job = jobs.get(order.job);
  if (job === undefined) return;
  if (order.kind === "drop") drop(job);
  if (order.kind === "grown" || order.kind === "digest") job.size = order.size;
  if (order.kind === "digest") job.asked = true;
  if (order.kind === "piece") take(job, { id: order.piece, bytes: order.bytes, position: order.position });
  schedule();
});

function open(id: number, fd: number, algorithm: string): void {
  const hash = createHash(algorithm);
  const job = {
    id,
    fd,
    hash,
    hashed: 0,
    told: 0,
    size: 0,
    asked: false,
    dropped: false,
    failure: undefined,
    pieces: [],
  };
  jobs.set(id, job);
}

function take(job: Job, piece: Piece): void {
  job.size = Math.max(job.size, piece.position);
  const isUseful = piece.position >= job.hashed && piece.position - job.hashed <= mayWaitFor;
  if (isUseful && job.failure === undefined) job.pieces.push(piece);
  else tell({ kind: "released", job: job.id, piece: piece.id });
}

function drop(job: Job): void {
  job.dropped = true;
  // Told when the read under way has ended.
  if (files.isBusy(job.fd)) return;
  files.forget(job.fd);
  jobs.delete(job.id);
  tell({ kind: "dropped", job: job.id });
}

/** Between two pieces, messages get through. */
function schedule(): void {
  if (scheduled) return;
  const job = nextJob();
  if (job === undefined) return;
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    if (hasWork(job)) work(job);
    schedule();
  });
}

function nextJob(): Job | undefined {
  left -= 1;
  if (current !== undefined && left > 0 && jobs.has(current.id) && hasWork(current)) return current;
  const all = [...jobs.values()];
  const start = current === undefined ? 0 : all.indexOf(current) + 1;
  current = [...all.slice(start), ...all.slice(0, start)].find(hasWork);
  left = turn;
  return current;
}

function hasWork(job: Job): boolean {
  return !job.dropped && (job.asked || canHash(job));
}

function canHash(job: Job): boolean {
  return job.failure === undefined && (job.pieces.length > 0 || job.hashed < job.size);
}

function work(job: Job): void {
  try {
    if (canHash(job)) hashPiece(job);
  } catch (error) {
    job.failure = failureOf(error);
    for (const { id } of job.pieces.splice(0)) tell({ kind: "released", job: job.id, piece: id });
  }
  answer(job);
}

function hashPiece(job: Job): void {
  const [lent] = job.pieces;
  if (lent !== undefined && lent.position === job.hashed) hashLent(job, lent);
  else hashFromFile(job, lent?.position ?? job.size);
  if (job.hashed - job.told < tellEvery) return;
  job.told = job.hashed;
  tell({ kind: "hashed", job: job.id, size: job.hashed });
}

function hashLent(job: Job, { id, bytes }: Piece): void {
  job.pieces.shift();
  job.hash.update(bytes);
  job.hashed += bytes.byteLength;
  tell({ kind: "released", job: job.id, piece: id });
}

function hashFromFile(job: Job, end: number): void {
  const piece = files.piece(job.fd, job.hashed, end);
  if (piece.byteLength === 0) throw new Error(`ingest data: ends at byte ${job.hashed}, ${end} were written`);
  const next = job.hashed + piece.byteLength;
  if (end - next >= pieceSize) files.start(job.fd, next, end);
  job.hash.update(piece);
  job.hashed = next;
}

function answer(job: Job): void {
  if (!job.asked) return;
  if (job.failure !== undefined) tell({ kind: "failed", job: job.id, failure: job.failure });
  // A hash can be finished only once; the copy is finished in its place.
  else if (job.hashed === job.size) tell({ kind: "digest", job: job.id, hex: job.hash.copy().digest("hex") });
  else return;
  job.asked = false;
}

function failureOf(error: unknown): HashFailure {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, code, errno, syscall }: NodeJS.ErrnoException = error;
  return { message, code, errno, syscall };
}

function tell(news: HashNews): void {
  parentPort?.postMessage(news);
}
