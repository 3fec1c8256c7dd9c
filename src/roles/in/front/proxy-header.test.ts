import assert from "node:assert/strict";
import { test } from "node:test";
import { ipv6Bytes, plainAddress, proxyHeader } from "./proxy-header.ts";

test("IPv4 and IPv6 headers, byte for byte", () => {
  const four = proxyHeader({ address: "192.0.2.1", port: 4660 }, { address: "198.51.100.2", port: 25 });
  assert.equal(four.toString("hex"), "0d0a0d0a000d0a515549540a2111000cc0000201c633640212340019");
  const six = proxyHeader({ address: "2001:db8::1", port: 1 }, { address: "::1", port: 25 });
  assert.equal(
    six.toString("hex"),
    `0d0a0d0a000d0a515549540a21210024${"20010db8".padEnd(31, "0")}1${"".padEnd(31, "0")}100010019`,
  );
});

test("IPv6 text in its forms", () => {
  assert.equal(ipv6Bytes("::").toString("hex"), "0".repeat(32));
  assert.equal(ipv6Bytes("1:2:3:4:5:6:7:8").toString("hex"), "00010002000300040005000600070008");
  assert.equal(ipv6Bytes("fe80::").toString("hex"), "fe80".padEnd(32, "0"));
  assert.equal(ipv6Bytes("64:ff9b::192.0.2.33").toString("hex"), "0064ff9b0000000000000000c0000221");
  assert.throws(() => ipv6Bytes("example.org"));
});

test("an IPv4 client is one on a socket of both families too", () => {
  assert.equal(plainAddress("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(plainAddress("fe80::1%eth0"), "fe80::1");
});
