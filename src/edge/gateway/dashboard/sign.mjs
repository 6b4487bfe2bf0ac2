// Signs what a session claims, with what the runtime has for that.

const utf8 = new TextEncoder();

/** The HMAC-SHA256 of a text under a key, in hex. */
export async function sign(key, text) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", utf8.encode(key), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", imported, utf8.encode(text));
  return Array.from(new Uint8Array(signature), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
