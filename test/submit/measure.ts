import { performance } from "node:perf_hooks";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { startSubmit } from "./submit-stage.ts";
import { startSubmitSshd } from "./ssh-stage.ts";
const stage = await startSubmit({limits:{messagesPerDay:100000}});
const ssh = await startSubmitSshd(stage.folder, stage.config.socket);
const mail = `From: ${ssh.login}@example.org\nTo: bob@example.net\nSubject: hi\n\nhello\n`;
const control = join(stage.folder, "c");
const shared = ["-o", `ControlPath=${control}`];
const master = ssh.start([], ["-M", "-N", ...shared]);
while (!existsSync(control)) await new Promise(r=>setTimeout(r,50));
const med = (a: number[]) => a.sort((x,y)=>x-y)[a.length>>1]?.toFixed(1);
for (const [name, f] of [["socket", () => stage.submit(ssh.login,"",mail)],["kept", () => ssh.ssh([],mail,shared)],["kept help", () => ssh.ssh(["help"],"",shared)],["new", () => ssh.ssh([],mail)]] as const) {
  const t: number[]=[]; for (let i=0;i<25;i++){const s=performance.now(); const r=await f(); if(r.status!==0) console.log(r); t.push(performance.now()-s);} console.log(name, "median ms", med(t), "min", t[0]?.toFixed(1));
}
const s=performance.now(); let n=0; await Promise.all(Array.from({length:8},async()=>{ for(let i=0;i<15;i++){ const r=await ssh.ssh([],mail,shared); if(r.status===0)n++; } })); console.log("kept x8 parallel per s", n/((performance.now()-s)/1000));
// memory of one open submission
const c=ssh.start([],shared); c.stdin.write(mail); await new Promise(r=>setTimeout(r,700));
let total=0; for (const pid of readdirSync("/proc").filter(x=>/^\d+$/.test(x))) { try { const cmd=readFileSync(`/proc/${pid}/cmdline`,"latin1").replaceAll("\0"," "); const comm=readFileSync(`/proc/${pid}/comm`,"latin1").trim(); if (/script-|nc -N/.test(cmd)||comm==="cat") { const pss=/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`,"latin1"))?.[1]; console.log(comm, cmd.slice(0,50), "PSS kB", pss); total+=Number(pss);} } catch (e) { if (!(e instanceof Error)) throw e; } }
console.log("total kB", total); c.stdin.end(); 
await new Promise(r=>c.on("close",r));
master.kill(); await new Promise(r=>master.on("close",r));
await ssh.stop(); await stage.stop();
