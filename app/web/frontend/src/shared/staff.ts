/** Who acts for a party: what the programs ask of the server, and how a code is shown. */
import { api } from './api'
import { newId } from './ids'
import type { components } from './openapi.gen'

type Schemas = components['schemas']
export type Member = Schemas['MemberOut']
export type Duty = Schemas['Duty']
export type HandedCode = Schemas['HandedCodeOut']
export type Key = Schemas['ApiKeyOut']
export type Device = Schemas['DeviceOut']
export type Invited = Schemas['MemberIn']

const DUTIES = ['staff', 'gate', 'books', 'head'] as const satisfies readonly Duty[]

/** The duties that a business of these roles has; only a market has gates. */
export function dutiesOf(roles: readonly string[]): readonly Duty[] {
  return DUTIES.filter((duty) => duty !== 'gate' || roles.includes('MARKET'))
}

/** The code with its page, as a picture that another phone reads. */
export function pictureOf(claim: HandedCode): string {
  return `data:image/svg+xml,${encodeURIComponent(claim.qr_svg)}`
}

/** A code in groups of four, to be read aloud; spaces do not count when it is typed. */
export const spell = (code: string): string => code.replace(/(.{4})(?=.)/g, '$1 ')

export async function staffOf(party: string): Promise<Member[]> {
  const params = { path: { party_id: party } }
  return (await api.GET('/parties/{party_id}/staff', { params })).data!.staff
}

/** What is done to one member of a party's staff; each answers the member as it is then. */
export function memberOf(party: string, account: string) {
  const params = { path: { party_id: party, account_id: account } }
  const path = '/parties/{party_id}/staff/{account_id}' as const
  return {
    invite: async (body: Invited): Promise<Member> => (await api.PUT(path, { params, body })).data!,
    rename: async (name: string): Promise<Member> => (await api.PUT(`${path}/name`, { params, body: { name } })).data!,
    move: async (duty: Duty): Promise<Member> => (await api.PUT(`${path}/duty`, { params, body: { duty } })).data!,
    letIn: async (enabled: boolean): Promise<Member> =>
      (await api.PUT(`${path}/sign-in`, { params, body: { enabled } })).data!,
    // Under one id until the answer has come: sent again, it is the same code.
    claimAgain: async (code: string, phone: string): Promise<Member> =>
      (await api.PUT(`${path}/claim-codes/{code_id}`, { params: { path: { ...params.path, code_id: code } }, body: { phone } })).data!,
    resetCode: async (code: string): Promise<HandedCode> =>
      (await api.PUT(`${path}/reset-codes/{code_id}`, { params: { path: { ...params.path, code_id: code } } })).data!,
  }
}

/** Make a member who was invited with other words what is wanted; another phone gets another code. */
export async function correct(party: string, member: Member, before: Invited, now: Invited): Promise<Member> {
  const acts = memberOf(party, member.account)
  let corrected = member
  if (now.name !== before.name) corrected = await acts.rename(now.name)
  if (now.duty !== before.duty) corrected = await acts.move(now.duty)
  if (now.phone !== before.phone) corrected = await acts.claimAgain(newId(), now.phone)
  return corrected
}

/** What somebody of one's own party made: keys end with their maker, devices at gates stay. */
export async function madeBy(account: string, isOffice: boolean): Promise<{ keys: Key[]; devices: Device[] }> {
  const [keys, devices] = await Promise.all([api.GET('/api-keys'), isOffice ? api.GET('/gate/devices') : null])
  return {
    keys: keys.data!.keys.filter((one) => one.made_by === account && !one.revoked_at),
    devices: devices?.data?.filter((one) => one.enrolled_by === account && !one.revoked_at) ?? [],
  }
}

export async function endDevice(device: string): Promise<void> {
  await api.PUT('/gate/devices/{device_id}/revoke', { params: { path: { device_id: device } } })
}

/** Whether a reset code was given that can still be used, by the server's clock. */
export const hasReset = (member: Member, now: string): boolean =>
  member.reset_until !== null && Date.parse(member.reset_until) > Date.parse(now)

/** Whether the invitation can still be taken up, by the server's clock. */
export const isWaiting = (member: Member, now: string): boolean =>
  member.state === 'invited' && member.claim !== null && Date.parse(member.claim.expires_at) > Date.parse(now)
