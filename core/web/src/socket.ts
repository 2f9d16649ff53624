// A WebSocket to the Tower that ends exactly once, whoever ends it, and notices when the line is dead.

import { Heartbeat } from "./heartbeat";

const OPENING_MS = 5000;

export interface Listener {
  opened?(): void;
  text(text: string): void;
  bytes?(data: Uint8Array): void;
  closed(code: number, opened: boolean): void;
}

export class Socket {
  private readonly socket: WebSocket;
  private readonly heartbeat: Heartbeat;
  private readonly opening: ReturnType<typeof setTimeout>;
  private opened = false;
  private over = false;

  constructor(path: string, private readonly listener: Listener) {
    const url = new URL(path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.heartbeat = new Heartbeat(this.socket, () => this.end(1006));
    this.opening = setTimeout(() => this.end(1006), OPENING_MS);
    this.socket.onopen = () => {
      clearTimeout(this.opening);
      this.opened = true;
      listener.opened?.();
    };
    this.socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      this.heartbeat.heard();
      if (typeof event.data === "string") listener.text(event.data);
      else listener.bytes?.(new Uint8Array(event.data));
    };
    this.socket.onclose = (event) => this.end(event.code);
  }

  get isOpen(): boolean {
    return !this.over && this.socket.readyState === WebSocket.OPEN;
  }

  /** Send, and say whether that was possible. */
  send(data: string | Uint8Array<ArrayBuffer>): boolean {
    if (!this.isOpen) return false;
    this.socket.send(data);
    return true;
  }

  /** Leave; the listener hears nothing more. */
  leave(): void {
    this.over = true;
    this.letGo();
  }

  private end(code: number): void {
    if (this.over) return;
    this.over = true;
    this.letGo();
    this.listener.closed(code, this.opened);
  }

  private letGo(): void {
    clearTimeout(this.opening);
    this.heartbeat.stop();
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    if (this.socket.readyState <= WebSocket.OPEN) this.socket.close();
  }
}
