// The answers of the public API, made from gateway/contract by `make format`.
export type AccountAnswer = {
  userId: number;
  mail: string | null;
  hasPassword: boolean;
};
export type AccountJoinPreview = {
  proof: string;
  mail: string | null;
  purchases: number;
  holds: number;
  waitingEntries: number;
  places: number;
  passkeys: number;
  issuers: number;
};
export type AccountPasskeyList = {
  passkeys: PasskeyAnswer[];
};
export type AccountSessionAnswer = {
  token: string;
  userId: number;
  moved: number[];
};
export type AccountSessionEntry = {
  network: string;
  agent: string;
  beganAt: string;
  endsAt: string;
  current: boolean;
};
export type AccountSessionList = {
  sessions: AccountSessionEntry[];
};
export type AlarmAnswer = {
  kind: AlarmKind;
  headline: string;
  sentence: string;
  threshold: string;
  isTrouble: boolean;
  events: string[];
  more: number;
  eventId: number | null;
  timeZone: string;
  since: string;
  endedAt: string | null;
};
export type AlarmExceptionAnswer = {
  kind: AlarmKind;
  eventId: number;
  event: string;
  enabled: boolean;
  threshold: number;
  forSeconds: number;
};
export type AlarmKind = "booking_errors" | "booking_p95" | "bookings_stuck" | "door_stalled" | "line_long" | "no_shows" | "payments_differ" | "payments_unopened" | "rebuilding" | "refunds_stuck" | "sold_out" | "sold_share";
export type AlarmList = {
  firing: AlarmAnswer[];
  ended: AlarmAnswer[];
  lookedAt: string | null;
};
export type AlarmLogLine = {
  at: string;
  operator: string;
  subject: "alarm_receiver" | "alarm_rule";
  id: number;
  field: string;
  from: string;
  to: string;
};
export type AlarmLogList = {
  entries: AlarmLogLine[];
};
export type AlarmReceiverAnswer = {
  receiverId: number;
  channel: ReceiverChannel;
  address: string;
  name: string;
  kinds: AlarmKind[];
  quietUntil: string | null;
  madeAt: string;
  deliveredAt: string | null;
  failingSince: string | null;
  error: string;
  gone: boolean;
};
export type AlarmReceiverList = {
  receivers: AlarmReceiverAnswer[];
};
export type AlarmRuleAnswer = {
  kind: AlarmKind;
  headline: string;
  meaning: string;
  scope: "event" | "lane";
  unit: "" | "%" | "fans" | "ms" | "s";
  enabled: boolean;
  threshold: number;
  forSeconds: number;
  thresholdMin: number;
  thresholdMax: number;
  defaultThreshold: number;
  defaultForSeconds: number;
};
export type AlarmRuleList = {
  rules: AlarmRuleAnswer[];
  exceptions: AlarmExceptionAnswer[];
};
export type AllotmentAnswer = {
  allotmentId: string;
  name: string;
  madeAt: string;
  madeBy: string;
  seats: SeatAnswer[];
};
export type AllotmentList = {
  allotments: AllotmentAnswer[];
};
export type AllotmentMade = {
  allotmentId: string;
  name: string;
};
export type AsksAnswer = {
  eventId: number;
  asks: boolean;
  attendees: boolean;
  address: boolean;
  questions: QuestionAnswer[];
  terms: string;
  termsVersion: number;
};
export type AttendeeAnswer = {
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
  name: string;
};
export type BoughtSeat = {
  ticketTypeId: number;
  ticketType: string;
  rowNumber: number;
  seatNumber: number;
  amount: number;
  ticketCode: string;
  rowLabel?: string | null;
  seatLabel?: string | null;
  section?: string | null;
  charge?: SeatCharge | null;
};
export type Breakdown = {
  prices: number;
  fees: number;
  taxes: TaxPart[];
  discounts?: number;
};
export type CancelJob = {
  kind: "cancel";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: CancelResult | null;
};
export type CancelResult = {
  version: number;
  purchaseId: string;
  eventId: number;
  status: string;
  totalAmount: number;
  refundAmount: number;
  currency: string;
  cancelledAt: string;
  details: CancelledSeat[];
  feeAmount?: number;
};
export type CancelledSeat = {
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
  amount: number;
};
export type CaptchaOffer = {
  provider: "altcha" | "hcaptcha" | "off" | "recaptcha" | "recaptcha_enterprise" | "turnstile";
  requiredFor: string[];
  siteKey?: string | null;
  challengeHref?: string | null;
};
export type ChallengeAnswer = {
  algorithm: string;
  challenge: string;
  maxnumber: number;
  salt: string;
  signature: string;
};
export type CheckoutJob = {
  kind: "checkout";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: PurchaseResult | null;
  payment?: PaymentStep | null;
};
export type Claimed = {
  pass: string;
  expiresAt: string;
  idleEndsAt?: string | null;
  mayRunOut?: boolean;
};
export type CodeIssueAnswer = {
  issueId: string;
  label: string;
  codes: number;
  usesMax: number;
  uses: number;
  startsAt: string | null;
  endsAt: string | null;
  issuedAt: string;
  issuedBy: string;
  revokedAt: string | null;
  revokedBy: string | null;
};
export type CodeIssueList = {
  issues: CodeIssueAnswer[];
};
export type CodesIssued = {
  issueId: string;
  codes: string[];
};
export type ConflictAnswer = {
  why: string;
  place: string;
  gate: string;
  operator: string;
  scannedAt: string;
  recordedAt: string;
  entryGate: string | null;
  entryScannedAt: string | null;
  entryOperator: string | null;
};
export type ContactAnswer = {
  mail: string | null;
  phone: string | null;
};
export type DeadLetter = {
  messageId: string;
  eventId: number;
  kind: string;
  channel: string;
  address: string;
  tries: number;
  error: string;
  endedAt: string | null;
};
export type DeadLetterList = {
  count: number;
  messages: DeadLetter[];
};
export type DefinedEvent = {
  eventId: number;
  name: string;
  artist: string;
  venue: string;
  date: string;
  timeZone: string;
  onSaleAt: string;
  offSaleAt: string;
  state: EventState;
  sale: SaleState;
  currency: string;
  quantity: number;
  sold: number;
  held: number;
  revision: number;
};
export type DefinedEventList = {
  events: DefinedEvent[];
  next: number | null;
};
export type DefinedTicketType = {
  ticketTypeId: number;
  ticketType: string;
  price: number;
  quantity: number;
  availableCount: number;
  heldCount: number;
  bookedCount: number;
  entrance?: string;
  feeAmount?: number;
  feeBasisPoints?: number;
  taxBasisPoints?: number;
  taxIncluded?: boolean;
  soldFrom?: string | null;
  soldUntil?: string | null;
  seatsPerFanMax?: number | null;
  amount: number;
  blocks: HallBlock[];
};
export type DeliveryAnswer = {
  messageId: string;
  eventId: number;
  kind: string;
  state: "dead" | "delivered" | "pending";
  attempts: number;
  createdAt: string;
  nextAttemptAt: string | null;
  endedAt: string | null;
  status: number | null;
  error: string;
};
export type DeliveryList = {
  deliveries: DeliveryAnswer[];
};
export type DeskLine = {
  at: string;
  operator: string;
  what: string;
  detail: string;
  why: string;
};
export type DrawAnswer = {
  eventId: number;
  state: "drawing" | "drawn" | "early" | "open";
  onSaleAt: string;
  opensAt: string;
  rule: string;
  seedHash: string;
  seed: string | null;
  participants: number;
  drawnAt: string | null;
  listHref: string;
};
export type DrawList = {
  first: number;
  fanHashes: string[];
  next: number | null;
};
export type DrawProof = {
  state: "drawing" | "drawn" | "early" | "open";
  rule: string;
  seedHash: string;
  fanHash: string;
  seed: string | null;
  drawValue: string | null;
  number: number | null;
  participants: number;
  href: string;
};
export type EntryAnswer = {
  ticketTypeId: number;
  ticketType: string;
  rowNumber: number;
  seatNumber: number;
  place: string;
  entryId: string;
  eventId: number;
  purchaseId: string;
  gate: string;
  scannedAt: string;
  enteredAt: string;
};
export type EntryCounts = {
  eventId: number;
  sold: number;
  entries: number;
  conflicts: number;
  gates: GateCount[];
  ticketTypes: TypeCount[];
};
export type EventAnswer = {
  eventId: number;
  name: string;
  artist: string;
  date: string;
  timeZone: string;
  venue: string;
  onSaleAt: string;
  offSaleAt: string;
  state: EventState;
  currency: string;
  seatsPerFanMax: number;
  notice?: string;
  doorsAt?: string | null;
  pictureHash?: string | null;
  pictureAlt?: string;
  accountRequired?: boolean;
  payments?: string;
  asks?: boolean;
  town?: string;
  tags?: string[];
};
export type EventDefinition = {
  eventId: number;
  name: string;
  artist: string;
  venue: string;
  date: string;
  timeZone: string;
  onSaleAt: string;
  offSaleAt: string;
  state: EventState;
  sale: SaleState;
  notes?: string[];
  notice?: string;
  currency: string;
  seatsPerFanMax: number;
  doorsAt?: string | null;
  pictureHash?: string | null;
  pictureAlt?: string;
  accountRequired?: boolean;
  payments?: string;
  town?: string;
  tags?: string[];
  ticketTypes: DefinedTicketType[];
  isOnSale: boolean;
  hasLobby: boolean;
  version: number;
  revision: number;
};
export type EventList = {
  events: FoundEvent[];
  cursor: string | null;
  loose?: boolean;
  facets?: Facets | null;
  suggestions?: Suggestion[] | null;
};
export type EventPayments = {
  eventId: number;
  provider: string;
  currency: string;
  capturedAmount: number;
  payments: PaymentCounts;
  refunds: RefundCounts;
  errors: string[];
  comparedAt: string | null;
  differences: PaymentDifference[];
};
export type EventPreview = {
  valid: boolean;
  faults: Fault[];
  event: EventDefinition | null;
};
export type EventProgress = {
  eventId: number;
  complete: boolean;
  cancelledAt: string | null;
  told: ToldAnswer | null;
  purchases: number;
  purchasesTold: number;
  paidBack: PaidBackAnswer | null;
};
export type EventState = "cancelled" | "published" | "unpublished";
export type ExtendJob = {
  kind: "extend";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: ExtendResult | null;
};
export type ExtendResult = {
  version: number;
  reservationId: string;
  eventId: number;
  expiresAt: string;
};
export type FacetValue = {
  value: string;
  count: number;
};
export type Facets = {
  total: number;
  available: number;
  towns: FacetValue[];
  months: FacetValue[];
  prices: PriceFacet[];
  atLeast?: boolean;
};
export type FactorsAnswer = {
  authenticator: boolean;
  recoveryCodes: number;
  passkeys: PasskeyAnswer[];
};
export type FanFile = {
  eventId: number;
  eventName: string;
  userId: number;
  place: FanPlace | null;
  history: ReceiptEntry[];
  addresses: Record<string, string>;
  holds: FanHold[];
  purchases: FanPurchase[];
  messages: FanMessage[];
  acts: DeskLine[];
};
export type FanHold = {
  reservationId: string;
  state: string;
  seats: number;
  totalAmount: number;
  madeAt: string;
  expiresAt: string;
  network: string;
};
export type FanMessage = {
  messageId: string;
  kind: string;
  channel: string;
  address: string;
  state: string;
  createdAt: string;
  error: string;
};
export type FanPlace = {
  state: string;
  roomState: string;
  position: number;
  ticketNumber: number;
  priority: boolean;
  claimBySeconds: number | null;
  passUntil: string | null;
};
export type FanPurchase = {
  purchaseId: string;
  status: string;
  seats: number;
  totalAmount: number;
  currency: string;
  purchaseAt: string;
};
export type Fault = {
  path: string;
  message: string;
  code?: string;
  line?: number;
  seats?: SeatAnswer[];
};
export type FoundEvent = {
  eventId: number;
  name: string;
  artist: string;
  date: string;
  timeZone: string;
  venue: string;
  onSaleAt: string;
  offSaleAt: string;
  state: EventState;
  currency: string;
  seatsPerFanMax: number;
  notice?: string;
  doorsAt?: string | null;
  pictureHash?: string | null;
  pictureAlt?: string;
  accountRequired?: boolean;
  payments?: string;
  asks?: boolean;
  town?: string;
  tags?: string[];
  priceFrom?: number | null;
  available?: boolean;
};
export type FoundFanAnswer = {
  eventId: number;
  eventName: string;
  userId: number;
  foundBy: string;
};
export type FoundFans = {
  fans: FoundFanAnswer[];
};
export type FoundOrderAnswer = {
  orderCode: string;
  eventId: number;
  eventName: string;
  purchaseId: string;
  status: string;
  purchaseAt: string;
  href: string;
};
export type FoundOrders = {
  purchases: FoundOrderAnswer[];
};
export type FoundTicketAnswer = {
  ticketTypeId: number;
  ticketType: string;
  rowNumber: number;
  seatNumber: number;
  place: string;
  purchaseId: string;
  cancelled: boolean;
  entryId: string | null;
  enteredAt: string | null;
  gate: string | null;
};
export type FoundTickets = {
  tickets: FoundTicketAnswer[];
};
export type GateCount = {
  gate: string;
  entries: number;
  latestAt: string;
};
export type GateEventAnswer = {
  eventId: number;
  name: string;
  venue: string;
  date: string;
  timeZone: string;
};
export type GateEvents = {
  events: GateEventAnswer[];
};
export type GateStanding = {
  counts: EntryCounts;
  conflicts: ConflictAnswer[];
};
export type GiveJob = {
  kind: "give";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: PurchaseResult | null;
};
export type HallBlock = {
  rows: number;
  seatsPerRow: number;
  firstRow?: number;
  firstSeat?: number;
};
export type HandOnLink = {
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
  href: string;
  token: string;
};
export type HandOnLinks = {
  links: HandOnLink[];
};
export type Handover = {
  href: string;
  qr: string;
  expiresAt: string;
};
export type Health = {
  status: "failing" | "ok";
  failing?: string[];
  degraded?: string[];
};
export type HeldSeat = {
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
  amount: number;
  rowLabel?: string | null;
  seatLabel?: string | null;
  section?: string | null;
  charge?: SeatCharge | null;
};
export type HoldResult = {
  version: number;
  reservationId: string;
  eventId: number;
  expiresAt: string;
  totalAmount: number;
  currency: string;
  seats: HeldSeat[];
  breakdown?: Breakdown | null;
};
export type IdentityAnswer = {
  issuer: string;
  name: string;
  linkedAt: string | null;
};
export type IdentityList = {
  identities: IdentityAnswer[];
};
export type IdentityStart = {
  href: string;
};
export type InitialCall = {
  event: EventAnswer;
  tickets: TicketAnswer[];
  room: RoomSummary;
  version: number;
};
export type Job = ReserveJob | CheckoutJob | ReleaseJob | ExtendJob | CancelJob | TakeJob | WaitJob | LeaveJob | GiveJob;
export type JobAccepted = {
  jobId: string;
  status: "queued";
  href: string;
  payment?: PaymentStep | null;
};
export type JoinedAccount = {
  mail: string | null;
  joinedAt: string;
  done: boolean;
};
export type JoinedAccountList = {
  joined: JoinedAccount[];
};
export type JsonWebKey = {
  kty: string;
  crv: string;
  x: string;
  kid: string;
  use: string;
  alg: string;
};
export type JsonWebKeySet = {
  keys: JsonWebKey[];
};
export type LaneAnswer = {
  lane: number;
  hasWorker: boolean;
  batches: number;
  sharesEvents: boolean;
  handsOver: boolean;
  movedHere: LaneEvent[];
};
export type LaneEvent = {
  eventId: number;
  name: string;
};
export type LaneList = {
  count: number;
  revision: number;
  madeAt: string | null;
  madeBy: string | null;
  lanes: LaneAnswer[];
};
export type Lately = {
  sessions: number;
  joins: number;
  proofs: number;
};
export type LeaveJob = {
  kind: "leave";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: LeaveResult | null;
};
export type LeaveResult = {
  version: number;
  eventId: number;
  number: number;
  seats: NamedSeat[];
};
export type Lobby = {
  state: "drawing" | "early" | "open";
  opensAt: string;
  onSaleAt: string;
  secondsToOnSale: number;
  participants: number;
  drawn: number;
  seedHash: string;
  fanHash: string | null;
};
export type MessagesResent = {
  resent: number;
};
export type NamedSeat = {
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
};
export type NetworkRuleAnswer = {
  ruleId: string;
  network: string;
  verdict: "allow" | "deny";
  until: string | null;
  reason: string;
  madeBy: string;
  madeAt: string;
};
export type NetworkRuleList = {
  inAll: number;
  rules: NetworkRuleAnswer[];
};
export type NetworkRulesMade = {
  ruleIds: string[];
};
export type NetworkSeen = {
  network: string;
  sessions: number;
  provenSessions: number;
  bought: number;
  held: number;
  lately: Lately;
  refusedLately: Record<string, number>;
  answeredLately: Record<string, number>;
  unprovenSeats: number;
  unboughtSeats: number;
  points: number;
  reasons: Points[];
  answer: "nothing" | "proof";
};
export type NetworksSeen = {
  unprovenSeatsMax: number;
  networks: NetworkSeen[];
  sessions: SessionSeen[];
};
export type NewAuthenticator = {
  secret: string;
  uri: string;
  picture: string;
};
export type NewcomerView = {
  etaSeconds: number | null;
  etaRange: [number, number] | null;
  linePerMinute: number | null;
  mayRunOut: boolean;
  stock: StockLeft | null;
};
export type NoticeTaken = {
  taken?: true;
};
export type OfficeOrder = {
  orderCode: string;
  purchaseId: string;
  eventId: number;
  status: string;
  complimentary: boolean;
  totalAmount: number;
  currency: string;
  purchaseAt: string;
  name: string | null;
  mail: string | null;
  address: string;
  attendees: AttendeeAnswer[];
  answers: ReplyAnswer[];
  termsVersion: number;
  payments: OrderPayment[];
  refunds: OrderRefund[];
  invoices: OrderInvoice[];
  userId: number;
  givenBy: string | null;
  seats: OrderSeat[];
};
export type OpenPass = {
  token: string;
  expiresAt: string;
};
export type OperatorAnswer = {
  token: string;
};
export type OperatorList = {
  operators: OperatorListed[];
};
export type OperatorListed = {
  name: string;
  role: OperatorRole | null;
  events: Record<string, OperatorRole>;
  sessions: number;
  signedInAt: string | null;
  authenticator: boolean;
  passkeys: number;
  createdAt: string;
};
export type OperatorLog = {
  entries: OperatorLogLine[];
};
export type OperatorLogLine = {
  at: string;
  operator: string;
  what: string;
  before: string;
  after: string;
};
export type OperatorName = {
  name: string;
  role: OperatorRole | null;
  events: Record<string, OperatorRole>;
  may: OperatorRole[];
  mayAt: Record<string, OperatorRole[]>;
  secondFactorNeeded: boolean;
};
export type OperatorRole = "door" | "owner" | "steward" | "viewer";
export type OperatorSessionAnswer = {
  sessionId: string;
  network: string;
  agent: string;
  beganAt: string;
  endsAt: string;
  current: boolean;
};
export type OperatorSessionList = {
  sessions: OperatorSessionAnswer[];
};
export type OrderAnswer = {
  orderCode: string;
  purchaseId: string;
  eventId: number;
  status: string;
  complimentary: boolean;
  totalAmount: number;
  currency: string;
  purchaseAt: string;
  name: string | null;
  mail: string | null;
  address: string;
  attendees: AttendeeAnswer[];
  answers: ReplyAnswer[];
  termsVersion: number;
  payments: OrderPayment[];
  refunds: OrderRefund[];
  invoices: OrderInvoice[];
};
export type OrderInvoice = {
  number: string;
  kind: string;
  corrects: string | null;
  madeAt: string;
  amount: number;
  tax: number;
};
export type OrderLine = {
  orderCode: string;
  purchaseId: string;
  userId: number;
  status: string;
  seats: number;
  totalAmount: number;
  currency: string;
  purchaseAt: string;
  givenBy: string | null;
  name: string | null;
  mail: string | null;
};
export type OrderList = {
  orders: OrderLine[];
  cursor: number | null;
};
export type OrderPayment = {
  provider: string;
  amount: number;
  currency: string;
  paidAt: string;
};
export type OrderRefund = {
  amount: number;
  cause: string;
  state: string;
  createdAt: string;
  doneAt: string | null;
};
export type OrderSeat = {
  ticketTypeId: number;
  ticketType: string;
  rowNumber: number;
  seatNumber: number;
  row: string;
  seat: string;
  amount: number;
  cancelledAt: string | null;
  cancelFee: number;
  handedOn: boolean;
};
export type OutboxKind = "event.cancelled" | "event.changed" | "event.edited" | "purchase.cancelled" | "purchase.event_cancelled" | "purchase.made" | "refund.made" | "room.closed" | "room.opened" | "room.paused" | "room.resumed" | "room.sold_out" | "waiting.offered";
export type Outcome = "admitted" | "cancelled" | "event_cancelled" | "handed_on" | "repeated" | "unknown" | "used";
export type PaidBackAnswer = {
  currency: string;
  purchases: number;
  amount: number;
  done: number;
  amountDone: number;
  givenUp: number;
};
export type PasskeyAnswer = {
  passkeyId: string;
  label: string;
  madeAt: string;
  usedAt: string | null;
};
export type PasskeyOptions = {
  options: Record<string, unknown>;
};
export type PaymentCounts = {
  opening: number;
  open: number;
  atTheBank: number;
  captured: number;
  booked: number;
  failed: number;
  returned: number;
  stuck: number;
};
export type PaymentDifference = {
  paymentId: string;
  sentence: string;
  mended: boolean;
};
export type PaymentStep = {
  href: string;
  clientSecret: string | null;
  expiresAt: string;
  processing: boolean;
};
export type PictureAnswer = {
  hash: string;
  width: number;
  height: number;
  href: string;
  smallHref: string;
  cardHref: string;
};
export type Place = {
  state: string;
  roomState: string;
  token: string | null;
  ticketNumber: number | null;
  position: number | null;
  ahead: number | null;
  waiting: number;
  classWaiting?: number | null;
  etaSeconds: number | null;
  etaRange?: [number, number] | null;
  linePerMinute?: number | null;
  mayRunOut?: boolean;
  stock?: StockLeft | null;
  claimBySeconds?: number | null;
  pass?: string | null;
  expiresAt?: string | null;
  idleEndsAt?: string | null;
  idle?: boolean;
  href: string;
  streamHref: string;
  lobby?: Lobby | null;
  message?: string;
  messages?: Texts;
  priority?: boolean;
  sale?: SaleState;
  reason?: string;
};
export type PlanDocument = {
  name: string;
  width: number;
  height: number;
  focus: PlanFocus;
  shapes: PlanShape[];
  picture: PlanPicture | null;
  sections: PlanDocumentSection[];
};
export type PlanDocumentRow = {
  ticketType?: string;
  ticketTypeId?: number | null;
  rowNumber: number;
  label: string;
  seats: PlanDocumentSeat[];
};
export type PlanDocumentSeat = {
  seatNumber: number;
  x: number;
  y: number;
  label?: string;
  attributes?: ("accessible" | "aisle" | "companion" | "restrictedView")[];
};
export type PlanDocumentSection = {
  name: string;
  outline: [number, number][];
  labelAt: [number, number];
  rows: PlanDocumentRow[];
};
export type PlanDrawing = {
  name: string;
  width: number;
  height: number;
  focus: PlanFocus;
  shapes: PlanShape[];
  picture: PlanPicture | null;
  sections: PlanDrawingSection[];
};
export type PlanDrawingSection = {
  sectionId: number;
  name: string;
  outline: [number, number][];
  labelAt: [number, number];
  rows: PlanRow[];
};
export type PlanFocus = {
  label: string;
  kind: "pitch" | "screen" | "stage";
  outline: [number, number][];
  at: [number, number];
};
export type PlanFrame = {
  name: string;
  width: number;
  height: number;
  focus: PlanFocus;
  shapes: PlanShape[];
  picture: PlanPicture | null;
};
export type PlanOverview = {
  name: string;
  width: number;
  height: number;
  focus: PlanFocus;
  shapes: PlanShape[];
  picture: PlanPicture | null;
  eventId: number;
  planVersion: string;
  version: number;
  isGenerated: boolean;
  sections: PlanSectionSummary[];
};
export type PlanPicture = {
  href: string;
  at: [number, number];
  size: [number, number];
};
export type PlanReading = {
  valid: boolean;
  faults: Fault[];
  plan: PlanDocument | null;
  drawing: PlanDrawing | null;
};
export type PlanReport = {
  valid: boolean;
  faults: Fault[];
  revision: number;
  sections: number;
  seats: number;
  seatsAdded: number;
  drawing?: PlanDrawing | null;
};
export type PlanRow = {
  ticketTypeId: number;
  rowNumber: number;
  label: string;
  seats: ((number | string)[])[];
};
export type PlanSectionSeats = {
  sectionId: number;
  rows: PlanRow[];
};
export type PlanSectionSummary = {
  sectionId: number;
  name: string;
  outline: [number, number][];
  labelAt: [number, number];
  ticketTypeIds: number[];
  priceMin: number;
  priceMax: number;
  seats: number;
  free: number;
  accessible: number;
  rows: [string, string];
  href: string;
};
export type PlanShape = {
  kind: "polygon" | "text";
  outline: [number, number][];
  label: string;
};
export type Points = {
  reason: string;
  points: number;
};
export type PriceFacet = {
  currency: string;
  priceMin: number;
  priceMax: number | null;
  count: number;
};
export type ProblemAnswer = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  retryAfterSeconds?: number;
  errors?: Fault[];
};
export type Proposal = {
  reason: "aisle" | "cheapest" | "further_back" | "nearest";
  ticketTypeId: number;
  ticketType: string;
  rowNumber: number;
  rowLabel: string;
  totalAmount: number;
  leavesSingle: boolean;
  seats: ProposedSeat[];
};
export type ProposalList = {
  eventId: number;
  version: number;
  quantity: number;
  accessible: boolean;
  currency: string;
  proposals: Proposal[];
};
export type ProposedSeat = {
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
  label: string;
  amount: number;
};
export type PurchaseAnswer = {
  purchaseId: string;
  eventId: number;
  userId: number;
  totalAmount: number;
  currency: string;
  purchaseAt: string;
  status: string;
  details: PurchaseDetailAnswer[];
  cancelUntil?: string | null;
  received?: boolean;
  orderCode?: string;
  complimentary?: boolean;
};
export type PurchaseDetailAnswer = {
  ticketTypeId: number;
  ticketType: string;
  rowNumber: number;
  seatNumber: number;
  rowLabel?: string | null;
  seatLabel?: string | null;
  section?: string | null;
  entrance?: string;
  amount: number;
  charge?: SeatCharge | null;
  ticketCode: string | null;
  ticket?: string | null;
  issueNumber?: number;
  handedOn?: boolean;
  cancelledAt?: string | null;
  cancelFee?: number;
};
export type PurchaseLink = {
  href: string;
  key: string;
};
export type PurchaseList = {
  purchases: PurchaseAnswer[];
};
export type PurchaseResult = {
  version: number;
  purchaseId: string;
  eventId: number;
  userId: number;
  totalAmount: number;
  currency: string;
  purchaseAt: string;
  status: string;
  details: BoughtSeat[];
  breakdown?: Breakdown | null;
};
export type QuestionAnswer = {
  questionId: number;
  text: string;
  required: boolean;
};
export type Quote = {
  reservationId: string;
  eventId: number;
  totalAmount: number;
  currency: string;
  seats: HeldSeat[];
  breakdown?: Breakdown | null;
};
export type Receipt = {
  eventId: number;
  userId: number;
  state: string;
  entries: ReceiptEntry[];
  draw: DrawProof | null;
};
export type ReceiptEntry = {
  at: string;
  state: string;
  reason: string;
};
export type ReceiverChannel = "chat" | "mail" | "push";
export type RecoveryCodes = {
  codes: string[];
};
export type RefundCounts = {
  pending: number;
  done: number;
  dead: number;
  stuck: number;
  doneAmount: number;
  owedAmount: number;
};
export type ReleaseJob = {
  kind: "release";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: ReleaseResult | null;
};
export type ReleaseResult = {
  version: number;
  reservationId: string;
  eventId: number;
  seats: NamedSeat[];
};
export type ReplyAnswer = {
  questionId: number;
  question: string;
  answer: string;
};
export type Resent = {
  resent: number;
};
export type ReservationAnswer = {
  reservationId: string;
  eventId: number;
  expiresAt: string;
  totalAmount: number;
  currency: string;
  seats: HeldSeat[];
  breakdown?: Breakdown | null;
};
export type ReservationList = {
  reservations: ReservationAnswer[];
};
export type ReserveJob = {
  kind: "reserve";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: HoldResult | null;
};
export type RoomAnswer = {
  ratePerMinute: number;
  capacity: number;
  lineCap: number;
  claimWindowSeconds: number;
  passSeconds: number;
  autopilot: boolean;
  lobbyMinutes: number;
  message: string;
  priorityShare: number;
  messages: Texts;
  passLifeSeconds: number;
  networkLimitsMax: number;
  fanUnboughtMax: number;
  waitingList: boolean;
  offerMinutes: number;
  cancelHours: number;
  cancelFeePercent: number;
  cancelFeeAmount: number;
  paymentTermHours: number;
  paymentTermSeatsMax: number;
  eventId: number;
  name: string;
  venue: string;
  date: string;
  timeZone: string;
  state: string;
  sale: SaleState;
  waiting: number;
  priorityWaiting: number;
  called: number;
  admitted: number;
  rateNowPerMinute: number;
  measuredPerMinute: number | null;
  calledPerMinute: number | null;
  letIn: number;
  lobby: number;
  paused: boolean;
  closed: boolean;
  autopilotWhy: string;
  noShowRate: number;
  p50BookingMs: number | null;
  p95BookingMs: number | null;
  errors: Record<string, number>;
  faults: number;
  backlog: number;
  sold: number;
  held: number;
  free: number;
  takings: number;
  currency: string;
  newcomer: NewcomerView | null;
  revision: number;
  gateways: number;
  gatewaysInForce: number;
  shop: string | null;
};
export type RoomHistory = {
  seconds: number;
  at: number[];
  waiting: number[];
  called: number[];
  admitted: number[];
  rateNowPerMinute: number[];
  calledPerMinute: (number | null)[];
  p50BookingMs: (number | null)[];
  p95BookingMs: (number | null)[];
  backlog: number[];
  errors: number[];
  sold: number[];
  held: number[];
};
export type RoomList = {
  rooms: RoomAnswer[];
};
export type RoomLogLine = {
  at: string;
  operator: string;
  field: string;
  from: string;
  to: string;
  why: string;
  revision: number;
};
export type RoomLogList = {
  entries: RoomLogLine[];
};
export type RoomStepAnswer = {
  stepId: string;
  at: string;
  sets: Record<string, number | boolean>;
  scheduledBy: string;
  scheduledAt: string;
  why: string;
};
export type RoomStepList = {
  steps: RoomStepAnswer[];
};
export type RoomSummary = {
  state: string;
  waiting: number;
  sale: SaleState;
  reason: string;
};
export type SaleState = "cancelled" | "coming" | "on_sale" | "over" | "unpublished";
export type ScriptToken = {
  tokenId: string;
  name: string;
  role: OperatorRole;
  eventId: number | null;
  madeBy: string;
  madeAt: string;
  endsAt: string;
};
export type ScriptTokenList = {
  tokens: ScriptToken[];
};
export type ScriptTokenMade = {
  tokenId: string;
  token: string;
};
export type SeatAnswer = {
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
};
export type SeatCharge = {
  price: number;
  fee: number;
  tax: number;
  taxBasisPoints: number;
  discount?: number;
};
export type SeatMap = {
  eventId: number;
  version: number;
  sections: Section[];
  taken: ([number, number, number, "booked" | "reserved"])[];
};
export type SeatRow = {
  rowNumber: number;
  seatNumbers: number[];
};
export type Section = {
  ticketTypeId: number;
  rows: SeatRow[];
};
export type SellerAnswer = {
  eventId: number;
  name: string;
  address: string;
  taxId: string;
  note: string;
  series: string;
  creditSeries: string;
};
export type SessionAnswer = {
  token: string;
  userId: number;
};
export type SessionSeen = {
  userId: number;
  network: string;
  points: number;
  reasons: Points[];
  answer: "behind" | "captcha" | "nothing" | "proof" | "refuse";
  answered: Record<string, number>;
};
export type ShopAnswer = {
  capacity: number;
  ratePerMinute: number;
  passSeconds: number;
  passLifeSeconds: number;
  autopilot: boolean;
  eventId: number;
  name: string;
  origin: string;
  returnOrigins: string[];
  paths: string[];
  openPaths: string[];
  always: boolean;
  failOpen: boolean;
  ownPage: boolean;
  probeUrl: string;
  targetMs: number;
  state: string;
  waiting: number;
  admitted: number;
  rateNowPerMinute: number;
  autopilotWhy: string;
  revision: number;
  waitingPage: string;
  check: string;
  figures: ShopFiguresAnswer | null;
};
export type ShopFiguresAnswer = {
  at: string;
  fresh: boolean;
  p95Ms: number;
  asked: number;
  failed: number;
  perSecond: number;
  source: "both" | "probe" | "pushed";
};
export type ShopList = {
  shops: ShopAnswer[];
};
export type ShopProxyFile = {
  proxy: string;
  file: string;
  text: string;
};
export type ShopProxyFiles = {
  files: ShopProxyFile[];
};
export type StockLeft = {
  free: number;
  held: number;
  mayReturn?: number | null;
  lastHoldEndsAt?: string | null;
};
export type Suggestion = {
  text: string;
  kind: "artist" | "event" | "town" | "venue";
};
export type SyncedScan = {
  scanId: string;
  result: Outcome;
  detail: string;
  place: string;
  entryId: string | null;
  entryGate: string | null;
  entryScannedAt: string | null;
};
export type SyncedScans = {
  scans: SyncedScan[];
};
export type TakeJob = {
  kind: "take";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: TakeResult | null;
};
export type TakeResult = {
  version: number;
  purchaseId: string;
  eventId: number;
  ticketTypeId: number;
  rowNumber: number;
  seatNumber: number;
  issueNumber: number;
};
export type Takings = {
  eventId: number;
  currency: string;
  seats: number;
  amount: number;
  tax: number;
  lines: TakingsLine[];
};
export type TakingsLine = {
  ticketTypeId: number;
  ticketType: string;
  taxBasisPoints: number;
  taxIncluded: boolean;
  seats: number;
  prices: number;
  discounts: number;
  fees: number;
  tax: number;
  amount: number;
  cancelledSeats: number;
  cancelledAmount: number;
  complimentarySeats: number;
};
export type TaxPart = {
  basisPoints: number;
  included: boolean;
  tax: number;
};
export type Texts = {
  en?: string;
  de?: string;
  fr?: string;
  es?: string;
  ja?: string;
  ar?: string;
};
export type TicketAnswer = {
  ticketTypeId: number;
  ticketType: string;
  price: number;
  quantity: number;
  availableCount: number;
  heldCount: number;
  fee?: number;
  tax?: number;
  taxBasisPoints?: number;
  taxIncluded?: boolean;
  amount?: number | null;
  soldFrom?: string | null;
  soldUntil?: string | null;
  seatsPerFanMax?: number | null;
};
export type TicketKeyAnswer = {
  kid: string;
  x: string;
};
export type TicketList = {
  eventId: number;
  readAt: string;
  keys: TicketKeyAnswer[];
  ticketTypes: Record<string, string>;
  tickets: string[];
  codes: string[];
  ticketTypeIds: number[];
  places: string[];
  used: UsedTicket[];
  next: string | null;
};
export type TicketPlace = {
  ticketTypeId: number;
  ticketType: string;
  rowNumber: number;
  seatNumber: number;
  place: string;
};
export type ToldAnswer = {
  kind: "event_cancelled" | "event_moved";
  messages: number;
  queued: number;
  sent: number;
  failed: number;
  skipped: number;
};
export type TypeCount = {
  ticketTypeId: number;
  ticketType: string;
  sold: number;
  entries: number;
};
export type UsedTicket = {
  ticket: string;
  gate: string;
  scannedAt: string;
};
export type VoucherIssueAnswer = {
  issueId: string;
  label: string;
  vouchers: number;
  usesMax: number;
  uses: number;
  basisPoints: number;
  amount: number;
  ticketTypeIds: number[] | null;
  endsAt: string | null;
  issuedAt: string;
  issuedBy: string;
  revokedAt: string | null;
  revokedBy: string | null;
};
export type VoucherIssueList = {
  issues: VoucherIssueAnswer[];
};
export type VouchersIssued = {
  issueId: string;
  codes: string[];
};
export type WaitJob = {
  kind: "wait";
  jobId: string;
  status: "failed" | "queued" | "succeeded";
  problem?: Record<string, unknown> | null;
  result?: WaitResult | null;
};
export type WaitResult = {
  version: number;
  eventId: number;
  number: number;
  ticketTypeId: number;
  quantity: number;
  enteredAt: string;
  link: string;
};
export type WaitingEntryAnswer = {
  eventId: number;
  number: number;
  ticketTypeId: number;
  quantity: number;
  state: string;
  enteredAt: string;
  link: string;
  ahead?: number | null;
  reservationId?: string | null;
  offerEndsAt?: string | null;
};
export type WaitingEntryList = {
  entries: WaitingEntryListed[];
  next: number | null;
};
export type WaitingEntryListed = {
  number: number;
  ticketTypeId: number;
  quantity: number;
  state: string;
  enteredAt: string;
  endedAt: string | null;
  link: string;
};
export type WaitingFigures = {
  eventId: number;
  isOn: boolean;
  offerMinutes: number;
  types: WaitingOfType[];
};
export type WaitingOfType = {
  ticketTypeId: number;
  ticketType: string;
  waiting?: number;
  seats?: number;
  offered?: number;
  taken?: number;
  declined?: number;
  lapsed?: number;
  left?: number;
  passed?: number;
};
export type WebhookAnswer = {
  webhookId: number;
  url: string;
  description: string;
  kinds: OutboxKind[];
  eventId: number | null;
  enabled: boolean;
  disabledWhy: string;
  disabledAt: string | null;
  createdAt: string;
  deliveredAt: string | null;
  failingSince: string | null;
  oldSecretUntil: string | null;
  pending: number;
  dead: number;
};
export type WebhookList = {
  webhooks: WebhookAnswer[];
};
export type WebhookLogLine = {
  at: string;
  operator: string;
  webhookId: number;
  field: string;
  from: string;
  to: string;
};
export type WebhookLogList = {
  entries: WebhookLogLine[];
};
export type WebhookSecret = {
  webhook: WebhookAnswer;
  secret: string;
};
