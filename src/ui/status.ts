import type { Language } from '../domain/text.ts';
import type { Status } from '../observe/status.ts';
import type { Palette } from './colors.ts';
import { printable, table, wrapped } from './layout.ts';

/** The stack at a glance: the two versions, every service, what differs, what to type next. */
export function renderStatus(status: Status, columns: number, language: Language, paint: Palette): string {
  const zh = language === 'zh';
  const none = paint.dim(zh ? '无' : 'none');
  const verdict = status.consistent
    ? paint.good(zh ? '一致' : 'consistent')
    : paint.bad(zh ? '不一致' : 'not consistent');
  const head = [
    ['VERSION', status.version ?? none],
    ['IMAGE_TAG', `${status.imageTag ?? none}  ${verdict}`],
  ];
  if (status.development) {
    const built = zh ? '镜像在本机构建;退出请执行 xingrin start' : 'images built here; leave it with: xingrin start';
    head.push([zh ? '开发模式' : 'development', built]);
  }
  if (status.address !== null) head.push([zh ? '访问地址' : 'address', paint.command(status.address)]);
  const blocks = [table(head)];
  if (status.services.length > 0) {
    const title = zh ? ['服务', '镜像', '状态', '健康'] : ['SERVICE', 'IMAGE', 'STATE', 'HEALTH'];
    const isLeftOut = (service: string): boolean => status.leftOut.includes(service);
    const rows = status.services.map(({ service, image, state, health }) => [
      printable(service),
      printable(image ?? '-'),
      state === 'running' ? state : isLeftOut(service) ? paint.dim(zh ? '已略去' : 'left out') : paint.bad(state),
      health === null ? '-' : health === 'healthy' ? paint.good(health) : paint.bad(health),
    ]);
    blocks.push(table([title.map(paint.dim), ...rows]));
  }
  if (status.workers.length > 0) {
    const title = zh
      ? ['WORKER', '地址', '状态', '版本', 'CPU', '内存']
      : ['WORKER', 'HOST', 'STATE', 'VERSION', 'CPU', 'MEMORY'];
    const rows = status.workers.map(({ name, host, status: state, version, cpu, memory }) => [
      printable(name),
      host ?? '-',
      state === 'online' ? paint.good(state) : paint.bad(state),
      version ?? '-',
      cpu === null ? '-' : `${Math.round(cpu)} %`,
      memory === null ? '-' : `${Math.round(memory)} %`,
    ]);
    blocks.push(table([title.map(paint.dim), ...rows]));
  }
  if (status.differences.length > 0) {
    blocks.push(
      status.differences
        .map((difference) => wrapped(printable(difference[language]), columns - 2).join('\n  '))
        .map((lines) => `${paint.caution('•')} ${lines}`)
        .join('\n'),
    );
  }
  if (status.next !== null) blocks.push(`${paint.command(zh ? '建议' : 'next')}  ${status.next[language]}`);
  return blocks.join('\n\n');
}
