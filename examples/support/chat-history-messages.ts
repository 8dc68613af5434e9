/* What stands in Alice's mailbox when the chat history viewer begins. */

export const address = 'tel:+4930123456'

const ben = 'tel:+4930654321'
const carla = 'sip:carla@b.example'
const choir = 'sip:choir@a.example'
const dad = 'tel:+49301110002'

export const names: Readonly<Record<string, string>> = {
  [ben]: 'Ben Okafor',
  [carla]: 'Carla Reyes',
  [choir]: 'Thursday choir',
  [dad]: 'Dad',
}

export const replies: readonly string[] = [
  'Got it, thank you!',
  'Sounds good. See you then.',
  'Ha, I was about to write the same.',
  'Let me check, and call you tonight.',
]

/** Minutes ago, from whom, what; and whether Alice has not seen it yet. */
type Said = readonly [minutesAgo: number, who: 'me' | 'them', text: string, isNew?: true]

export interface Conversation {
  readonly conversationId: string
  readonly other: string
  readonly messages: readonly Said[]
}

export const conversations: readonly Conversation[] = [
  {
    conversationId: 'lunch',
    other: ben,
    messages: [
      [2_900, 'them', 'Did the parcel arrive?'],
      [2_894, 'me', 'Yesterday, thanks for asking. The lamp is even nicer than in the picture.'],
      [1_460, 'them', 'Are you in town this week?'],
      [1_455, 'me', 'All week, apart from Thursday evening.'],
      [64, 'them', 'What is for lunch?', true],
      [63, 'them', 'The noodle place has the table outside again, and it is warm enough.', true],
      [61, 'them', 'Or soup at the market?', true],
    ],
  },
  {
    conversationId: 'berlin-trip',
    other: carla,
    messages: [
      [4_400, 'them', 'I have the tickets. We leave at 8:12 from platform 7.'],
      [4_391, 'me', 'Platform 7 again … I will bring coffee for the walk.'],
      [4_390, 'them', 'You know me too well.'],
      [3_010, 'me', 'The hotel has confirmed. Two nights, breakfast until eleven.'],
      [2_980, 'them', 'Until eleven! We can sleep.'],
      [190, 'them', 'Look at the forecast: sun on both days.', true],
    ],
  },
  {
    conversationId: 'choir-2026',
    other: choir,
    messages: [
      [7_300, 'them', 'Rehearsal moves to half past seven, the hall is taken before.'],
      [7_200, 'me', 'Fine with me. I bring the scores.'],
      [1_000, 'them', 'Please learn bars 40 to 72 by heart until Thursday.'],
    ],
  },
  {
    conversationId: 'dad',
    other: dad,
    messages: [
      [9_000, 'them', 'The apple tree has its first blossoms.'],
      [8_990, 'me', 'In November? Send a picture!'],
      [8_700, 'them', 'When I have found out how.'],
    ],
  },
]
