/** Services and schedules as runit service folders (runsv(8)). Pure: gives the files of `/etc/service`. */

import type { FileSpec, ScheduleSpec, ServiceSpec } from "#fleet/machine.ts";

/** Logs stay in memory, at most 3 files of 1 MB a service, and die with the machine. */
export const logFolder = "/run/log";

export function serviceFiles(services: readonly ServiceSpec[], schedules: readonly ScheduleSpec[]): FileSpec[] {
  return [
    ...services.flatMap((service) => runsvFolder(service.name, serviceScript(service))),
    ...schedules.flatMap((schedule) => runsvFolder(`schedule-${schedule.name}`, scheduleScript(schedule))),
  ];
}

function runsvFolder(name: string, run: string): FileSpec[] {
  const log = `#!/bin/sh
mkdir -p ${logFolder}/${name}
printf 's1000000\\nn3\\n' > ${logFolder}/${name}/config
chown -R _runit-log:_runit-log ${logFolder}/${name}
exec chpst -u _runit-log svlogd -tt ${logFolder}/${name}
`;
  return [script(`/etc/service/${name}/run`, run), script(`/etc/service/${name}/log/run`, log)];
}

function serviceScript(service: ServiceSpec): string {
  const before = (service.before ?? []).map((command) => `${shell(command)} || exit 1\n`).join("");
  return `#!/bin/sh
exec 2>&1
${before}exec ${asUser(service.user)}${shell(service.command)}
`;
}

function scheduleScript(schedule: ScheduleSpec): string {
  return `#!/bin/sh
exec 2>&1
while :; do
  ${asUser(schedule.user)}${shell(schedule.command)}
  sleep ${schedule.everySeconds}
done
`;
}

function asUser(user: string): string {
  return user === "root" ? "" : `chpst -u ${user} `;
}

/** Quotes an argument array for /bin/sh. */
export function shell(command: readonly string[]): string {
  return command.map((word) => (/^[\w./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}

function script(path: string, text: string): FileSpec {
  return { path, mode: 0o755, owner: "root", group: "root", content: { text } };
}
