// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"slices"
	"strings"
)

// ours stands for every package of this module in the import table.
const ours = "..."

// wall says what some packages must never import. Our own packages are looked for through any number of imports, everything
// else only among the direct ones.
type wall struct {
	room  []string          // the packages behind the wall
	but   []string          // packages the room's pattern covers and the wall does not
	never map[string]string // what they must not import, and why
	door  []string          // imports that are allowed in spite of never, and not looked through
}

var (
	caddy = []string{"github.com/caddyserver/...", "go.uber.org/zap/..."}

	// faces are the packages that meet in stored records only.
	faces = []string{
		"authz/flow", "authz/login", "authz/native", "authz/grants", "authz/endpoints", "authz/account", "authz/site",
		"authz/backchannel", "authz/registration",
	}

	// planned are packages of the table that are not there yet. A package that is needed no earlier is created no earlier,
	// but its walls are decided.
	planned = []string{
		"authz/flow", "authz/login", "authz/native", "authz/grants", "authz/endpoints", "authz/account", "authz/site",
		"authz/realm/database", "authz/realm/identitystore", "authz/revocation", "mobileauth/device",
		"mobileauth/enrolment", "mobileauth/envelope", "mobileauth/push", "mobileauth/sms", "storage/pgstore", "caddymodule", "cmd",
	}
)

// walls is the import table.
var walls = slices.Concat([]wall{
	{
		room: []string{"internal/oauth", "internal/web", "internal/jose", "internal/randid"},
		never: map[string]string{
			ours: "a leaf: everybody builds on it, so it builds on nobody",
		},
	},
	{
		room: []string{"authz/native/client"},
		never: map[string]string{
			ours: "an app vendor reads it as a recipe for another language",
		},
	},
	{
		room: []string{"authz/native/client/device", "authz/native/client/application"},
		never: map[string]string{
			ours: "an app vendor reads it as a recipe for another language",
		},
		door: []string{"authz/native/client"},
	},
	{
		room: []string{"mobileauth/provisioning"},
		never: map[string]string{
			"authz/...":        "a certificate is the same whoever issues tokens to whom it was given",
			"validation/...":   "a certificate is the same whoever issues tokens to whom it was given",
			"internal/web/...": "records and transitions know no page",
			"net/http":         "records and transitions know no HTTP",
		},
	},
	{
		room: []string{"mobileauth/provisioning/signing"},
		never: map[string]string{
			ours: "a key is good or bad, and has signed or not, whoever asks",
		},
		door: []string{"internal/jose"},
	},
	{
		room: []string{"mobileauth/provisioning/hooks"},
		never: map[string]string{
			"authz/...":        "a question about a device is the same whoever issues tokens to it",
			"validation/...":   "a question about a device is the same whoever issues tokens to it",
			"internal/web/...": "a service is told facts; what people read is its own",
			"net/http":         "how a service is reached comes in",
		},
	},
	{
		room: []string{"mobileauth/provisioning/deviceauth"},
		never: map[string]string{
			"authz/...":        "a realm of devices is a guest: it knows what a realm is, and nothing else of who asks",
			"validation/...":   "a realm of devices is a guest: it knows what a realm is, and nothing else of who asks",
			"internal/web/...": "the realm says what to ask; apps show it in their own way",
			"net/http":         "what an app says comes in through the realm's input",
		},
		door: []string{"authz/realm"},
	},
	{
		room: []string{"mobileauth/provisioning/withdrawn"},
		never: map[string]string{
			"mobileauth/...": "what counts no more is ids and times; whose they are is for whoever asks",
			"authz/...":      "what counts no more is the same whoever issues tokens",
			"validation/...": "what counts no more is the same whoever issues tokens",
			"internal/...":   "records, and nothing done about them",
			"net/http":       "records know no HTTP",
		},
	},
	{
		room: []string{"mobileauth/provisioning/owned"},
		never: map[string]string{
			"authz/...":        "who has logged in where comes in, whoever issues tokens",
			"validation/...":   "who has logged in where comes in, whoever issues tokens",
			"internal/web/...": "whose a certificate is does not depend on who is shown it",
			"net/http":         "records and transitions know no HTTP",
		},
	},
	{
		room: []string{"mobileauth/provisioning/status"},
		never: map[string]string{
			"authz/...":        "what has become of a certificate is the same whoever issues tokens",
			"validation/...":   "what has become of a certificate is the same whoever issues tokens",
			"internal/web/...": "lists and answers are read by programs",
		},
	},
	{
		room: []string{"mobileauth/provisioning/former"},
		never: map[string]string{
			"authz/...":        "what a certificate of another system stands for is the same whoever issues tokens",
			"validation/...":   "what a certificate of another system stands for is the same whoever issues tokens",
			"internal/web/...": "a certificate is judged, and nothing shown",
			"net/http":         "a certificate is judged without asking anybody",
		},
	},
	{
		room: []string{"mobileauth/provisioning/est", "mobileauth/provisioning/webhook"},
		never: map[string]string{
			"authz/...":        "a certificate is issued the same whoever issues tokens",
			"validation/...":   "a certificate is issued the same whoever issues tokens",
			"internal/web/...": "an authority is asked by a program",
		},
	},
	{
		room: []string{"internal/callout"},
		never: map[string]string{
			ours: "it carries questions and answers; what they mean is for whoever asks",
		},
		door: []string{"internal/oauth"},
	},
	{
		room: []string{"internal/provider"},
		never: map[string]string{
			ours: "it carries messages; what they say, and what an answer means, is for whoever sends",
		},
		door: []string{"internal/oauth"},
	},
	{
		room: []string{"internal/signedpost"},
		never: map[string]string{
			ours: "it carries what somebody has to say to a back end; what that is, and what follows from an answer, is for whoever says it",
		},
		door: []string{"internal/egress", "internal/jose", "internal/oauth", "internal/provider"},
	},
	{
		room: []string{"internal/outbox"},
		never: map[string]string{
			"net/http": "the outbox remembers and repeats; how a receiver is reached is for the handler of its kind",
		},
	},
	{
		room: []string{"internal/rounds"},
		never: map[string]string{
			ours: "a leaf: it repeats whatever it is given",
		},
	},
	{
		room: []string{"internal/egress"},
		never: map[string]string{
			ours:       "a leaf: it judges addresses, whoever is to be reached at them",
			"net/http": "a leaf: it judges addresses, whatever is said to them",
		},
	},
	{
		room: []string{"mobileauth/callback"},
		never: map[string]string{
			"authz/...":        "a callback tells of an operation, whoever issues tokens",
			"validation/...":   "a callback tells of an operation, whoever issues tokens",
			"internal/web/...": "a callback is read by programs",
			"storage/...":      "a sender sends; the outbox remembers",
		},
		door: []string{"internal/outbox"},
	},
	{
		room: []string{"internal/mobilefirst"},
		never: map[string]string{
			ours: "it turns a text of others into a text of ours, and loads neither",
		},
	},
	{
		room: []string{"internal/..."},
		never: map[string]string{
			"authz/...":      "the rooms stand on internal, not the other way round",
			"mobileauth/...": "the rooms stand on internal, not the other way round",
			"validation/...": "the rooms stand on internal, not the other way round",
		},
	},
	{
		room: []string{"storage"},
		never: map[string]string{
			"storage/...":                    "the contract knows no engine",
			"github.com/dgraph-io/...":       "the contract knows no engine",
			"github.com/jackc/...":           "the contract knows no engine",
			"database/sql":                   "the contract knows no engine",
			"google.golang.org/protobuf/...": "values are a version byte and JSON",
		},
	},
	{
		room: []string{"mobileauth/mobiletest"},
		never: map[string]string{
			"mobileauth/...": "of the phones it has keys and people; what a package keeps its own tests know",
		},
		door: []string{"mobileauth", "mobileauth/envelope"},
	},
	{
		room: []string{"storage/storagetest"},
		never: map[string]string{
			"storage/badgerstore": "the proof knows no engine that it is given: package engines knows them",
		},
	},
	{
		room: []string{"storage/..."},
		never: map[string]string{
			"authz/...":      "the cellar knows no record: repositories are written above it",
			"mobileauth/...": "the cellar knows no record: repositories are written above it",
			"validation/...": "the cellar knows no record: repositories are written above it",
			"net/http":       "the cellar knows no request",
		},
	},
	{
		room: []string{"authz", "authz/realm"},
		never: map[string]string{
			"net/http":         "records and transitions hold for every face, so they know no HTTP",
			"internal/web/...": "records and transitions hold for every face, so they know no page",
			"mobileauth/...":   "a phone is one realm among others and comes in through the realm's ports",
		},
	},
	{
		room: []string{"authz/rotation"},
		never: map[string]string{
			ours: "what a refresh token says is arithmetic; what it leads to is for the records",
		},
	},
	{
		room: []string{"authz/roster"},
		never: map[string]string{
			ours: "which grant gives way, and which devices were met, is arithmetic over one table; ending a grant is for the records",
		},
		door: []string{"storage"},
	},
	{
		room: []string{"authz/approval"},
		never: map[string]string{
			ours: "a request is compared with what a token says, whoever approved it, and however what a request says is read",
		},
		door: []string{"authz", "internal/httpx", "internal/oauth", "mobileauth/confirm", "validation"},
	},
	{
		room: []string{"authz/details"},
		never: map[string]string{
			ours:       "what a detail means is for its schema and its sentence; who grants it, keeps it or enforces it is for others",
			"net/http": "details are the same whatever they arrive by",
		},
		door: []string{"internal/oauth", "mobileauth/shown"},
	},
	{
		room: []string{"authz/cutoff"},
		never: map[string]string{
			ours: "what a moment comes before is arithmetic over one table; what makes a cut-off is for the records",
		},
		door: []string{"storage"},
	},
	{
		room: []string{"authz/revocation"},
		never: map[string]string{
			"net/http":         "one view serves gate, introspection, userinfo and refresh alike, so it knows no HTTP",
			"internal/web/...": "one view serves gate, introspection, userinfo and refresh alike, so it knows no page",
			"mobileauth/...":   "whoever locks a user or a device writes the fact; the view only reads it",
		},
	},
	{
		room: []string{"authz/backchannel", "authz/backchannel/reading", "authz/backchannel/terms"},
		never: map[string]string{
			"net/http":         "what a client asks for, and what becomes of it, is the same however it is sent",
			"internal/web/...": "a back end is answered, and shown no page",
			"mobileauth/...":   "the phone is a port: whoever assembles brings one",
		},
		door: []string{"mobileauth/shown"},
	},
	{
		room: []string{"authz/backchannel/..."},
		never: map[string]string{
			"internal/web/...": "a back end is answered, and shown no page",
			"mobileauth/...":   "the phone is a port: whoever assembles brings one",
		},
		door: []string{"mobileauth/shown"},
	},
	{
		room: []string{"authz/client"},
		never: map[string]string{
			ours:       "what a client is does not depend on where it is kept, nor on what it asks for",
			"net/http": "what a client is does not depend on how it asks",
		},
		door: []string{"authz/realm", "internal/jose", "internal/oauth", "internal/randid"},
	},
	{
		room: []string{"authz/registration", "authz/registration/metadata"},
		never: map[string]string{
			"net/http":         "what an instance may have, and what becomes of it, is the same however it is asked for",
			"internal/web/...": "an app is answered, and shown no page",
			"mobileauth/...":   "an instance is a client, with or without a phone of a user",
		},
	},
	{
		room: []string{"authz/realm/formauth"},
		never: map[string]string{
			"net/http":         "the form authenticator says what to ask; pages and apps ask in their own way",
			"internal/web/...": "the form authenticator says what to ask; pages and apps ask in their own way",
			"mobileauth/...":   "an authenticator collects, it verifies nothing",
			"storage/...":      "an authenticator keeps nothing between calls",
		},
	},
	{
		room: []string{"authz/realm/adapterauth"},
		never: map[string]string{
			"net/http":         "the back end is asked through a port; how it is reached is for whoever assembles",
			"internal/web/...": "the back end says what to ask; pages and apps ask in their own way",
			"mobileauth/...":   "the back end knows its own people; the issuer's user is found by the engine's linker",
			"storage/...":      "an authenticator keeps nothing between calls",
		},
	},
	{
		room: []string{"authz/realm/appauth"},
		never: map[string]string{
			"net/http":         "what an app says comes in through the realm's input",
			"internal/web/...": "the realm says what to ask; apps show it in their own way",
			"mobileauth/...":   "of the phone's room the realm needs the applications, nothing more",
			"storage/...":      "what becomes of a version is told from memory",
		},
		door: []string{"mobileauth"},
	},
	{
		room: []string{"authz/realm/identitystore"},
		never: map[string]string{
			"net/http":         "a login module judges credentials, whoever collected them",
			"internal/web/...": "a login module judges credentials, whoever collected them",
			"mobileauth/...":   "of the phone's room a login module needs the users, nothing more",
		},
		door: []string{"mobileauth/identity"},
	},
	{
		room: []string{
			"authz/realm/headerauth", "authz/realm/basicauth", "authz/realm/certauth", "authz/realm/unverified", "authz/realm/ltpa",
		},
		never: map[string]string{
			"net/http":         "what a request says comes in through the realm's input, which any face fills",
			"internal/web/...": "these guests say what to ask; pages and apps ask in their own way",
			"mobileauth/...":   "these guests know nobody: the engine finds the user of an id",
			"storage/...":      "these guests keep nothing between calls",
		},
	},
	{
		room: []string{"authz/realm/database"},
		never: map[string]string{
			"net/http":         "a login module judges credentials, whoever collected them",
			"internal/web/...": "a login module judges credentials, whoever collected them",
			"mobileauth/...":   "its users live elsewhere: the engine finds out who they are here",
			"storage/...":      "a users table is read as it is, and is no store of ours",
		},
	},
	{
		room: []string{"authz/realm/ldap"},
		never: map[string]string{
			"net/http":         "a login module judges credentials, whoever collected them",
			"internal/web/...": "a login module judges credentials, whoever collected them",
			"mobileauth/...":   "its users live in the directory: the engine finds out who they are here",
			"storage/...":      "what one login has learned is forgotten by the next",
		},
	},
	{
		room: []string{"authz/realm/webservice"},
		never: map[string]string{
			"internal/web/...": "a login module judges credentials, whoever collected them",
			"mobileauth/...":   "its users live elsewhere: the engine finds out who they are here",
			"storage/...":      "what one login has learned is forgotten by the next",
		},
	},
	{
		room: []string{"mobileauth", "mobileauth/identity/...", "mobileauth/exchange"},
		never: map[string]string{
			"authz/...":        "users, devices and operations serve any authorization server",
			"validation/...":   "users, devices and operations serve any authorization server",
			"internal/web/...": "records and transitions know no page",
			"net/http":         "records and transitions know no HTTP",
		},
	},
	{
		room: []string{"mobileauth/handset", "mobileauth/enrolment"},
		never: map[string]string{
			"authz/...":        "what rests on a device ends by hooks: whoever issues tokens brings them",
			"validation/...":   "what rests on a device ends by hooks: whoever issues tokens brings them",
			"internal/web/...": "records and transitions know no page",
			"net/http":         "records and transitions know no HTTP",
		},
	},
	{
		room: []string{
			"mobileauth/operation", "mobileauth/asking", "mobileauth/budget", "mobileauth/caution", "mobileauth/roots", "mobileauth/receipt/issuing",
			"mobileauth/confirm",
		},
		never: map[string]string{
			"authz/...":        "a question to a person is the same whoever issues tokens for the answer",
			"validation/...":   "a question to a person is the same whoever issues tokens for the answer",
			"internal/web/...": "records and transitions know no page",
			"net/http":         "records and transitions know no HTTP",
		},
	},
	{
		room: []string{"mobileauth/attestation"},
		never: map[string]string{
			ours:       "a leaf: a grade is a word, whatever it is given for",
			"net/http": "a leaf: a grade is a word, whatever it is given for",
		},
	},
	{
		room: []string{
			"mobileauth/attestation/androidkey", "mobileauth/attestation/appattest", "mobileauth/attestation/playintegrity",
			"mobileauth/attestation/testauthority",
		},
		never: map[string]string{
			ours:       "evidence is judged by itself, whatever it is shown for",
			"net/http": "evidence is judged without asking anybody",
		},
		door: []string{"mobileauth/attestation", "internal/jose"},
	},
	{
		room: []string{"mobileauth/attestation/grading"},
		never: map[string]string{
			"authz/...":        "what a phone has shown is the same whoever issues tokens",
			"validation/...":   "what a phone has shown is the same whoever issues tokens",
			"internal/web/...": "what a phone has shown is read by its registration",
			"net/http":         "evidence is judged without asking anybody",
		},
	},
	{
		room: []string{"mobileauth/challenge"},
		never: map[string]string{
			"authz/...":        "a realm of phones is a guest: it knows what a realm is, and nothing else of who asks",
			"validation/...":   "a realm of phones is a guest: it knows what a realm is, and nothing else of who asks",
			"internal/web/...": "the realm says what to ask; pages and apps ask in their own way",
			"net/http":         "the realm says what to ask; pages and apps ask in their own way",
		},
		door: []string{"authz/realm"},
	},
	{
		room: []string{"mobileauth/receipt"},
		never: map[string]string{
			ours:       "a receipt is verified where there is neither store nor server",
			"net/http": "a receipt is verified offline",
		},
		door: []string{"internal/jose", "mobileauth/envelope"},
	},
	{
		room: []string{"mobileauth/shown", "internal/waiting", "internal/places"},
		never: map[string]string{
			ours:       "a leaf: what may be shown, and who waits, is the same for whatever is asked",
			"net/http": "a leaf: what may be shown, and who waits, is the same for whatever is asked",
		},
	},
	{
		room: []string{"mobileauth/operation/record"},
		never: map[string]string{
			ours:       "what an operation is does not depend on which engine keeps it, nor on who answers; its tables are described here",
			"net/http": "what an operation is does not depend on how it is answered",
		},
		door: []string{"internal/randid", "mobileauth/envelope", "mobileauth/mobiletype", "mobileauth/shown", "storage"},
	},
	{
		room: []string{"mobileauth/mobiletype"},
		never: map[string]string{
			ours:       "a leaf: a policy names ways to ask, and asks nobody",
			"net/http": "a leaf: a policy names ways to ask, and asks nobody",
		},
		door: []string{"mobileauth/shown"},
	},
	{
		room: []string{"mobileauth/delivery"},
		never: map[string]string{
			"authz/...":           "a question reaches a phone whoever issues tokens for the answer",
			"validation/...":      "a question reaches a phone whoever issues tokens for the answer",
			"internal/web/...":    "a notification is no page",
			"storage/badgerstore": "it keeps records in whatever store it is given",
			"storage/memstore":    "it keeps records in whatever store it is given",
		},
	},
	{
		room: []string{"mobileauth/origin"},
		never: map[string]string{
			ours:       "a leaf: where a question comes from is said in the same words whoever asks it",
			"net/http": "a locator may be a file",
		},
		door: []string{"mobileauth/shown"},
	},
	{
		room: []string{"mobileauth/origin/maxmind", "mobileauth/origin/locate"},
		never: map[string]string{
			ours: "a locator says where an address is, and keeps nothing",
		},
		door: []string{"mobileauth/origin", "mobileauth/shown", "internal/callout"},
	},
	{
		room: []string{"mobileauth/deviceapi"},
		never: map[string]string{
			"authz/...":        "phones have a protocol of their own, and hold no token",
			"validation/...":   "phones have a protocol of their own, and hold no token",
			"internal/web/...": "what a phone is told it shows in its own way",
		},
	},
	{
		room: []string{"mobileauth/confirm/hold"},
		never: map[string]string{
			"authz/...":        "who sends a request comes in from the gate, whoever issues tokens",
			"validation/...":   "who sends a request comes in from the gate, whoever issues tokens",
			"internal/web/...": "how a page looks is for whoever assembles",
		},
	},
	{
		room: []string{"mobileauth/restapi/..."},
		never: map[string]string{
			"authz/...":      "who a client is comes in through a port, so that the API stands beside any authorization server",
			"validation/...": "who a client is comes in through a port, so that the API stands beside any authorization server",
		},
	},
	{
		room: []string{"authz/backend"},
		never: map[string]string{
			"mobileauth/...":   "of the API it needs to know what a caller is, nothing more",
			"internal/web/...": "a program is answered, and shown no page",
		},
		door: []string{"mobileauth/restapi/wire"},
	},
	{
		room: []string{"mobileauth/push"},
		never: map[string]string{
			ours:       "a port: whoever writes a sender needs to know nothing else of ours",
			"net/http": "a notification is the same however it is carried",
		},
	},
	{
		room: []string{"mobileauth/phonenumber"},
		never: map[string]string{
			ours:       "a leaf: what a number is, is the same whoever is called",
			"net/http": "a leaf: what a number is, is the same whoever is called",
		},
	},
	{
		room: []string{"mobileauth/push/...", "mobileauth/sms/..."},
		never: map[string]string{
			"storage/...":      "a sender sends; the outbox remembers",
			"authz/...":        "a sender carries a message, whoever issues tokens for the answer",
			"validation/...":   "a sender carries a message, whoever issues tokens for the answer",
			"internal/web/...": "a sender speaks to a service, not to people",
		},
		door: []string{"mobileauth"},
	},
	{
		room: []string{"validation/..."},
		never: map[string]string{
			"authz/...":      "it must be usable in front of somebody else's issuer",
			"mobileauth/...": "it must be usable in front of somebody else's issuer",
			"storage/...":    "it must be usable in front of somebody else's issuer",
		},
	},
	{
		room: []string{"mobileauth/envelope"},
		never: map[string]string{
			ours:       "messages are the same whoever keeps the records, and an app vendor ports them",
			"net/http": "messages are the same however they travel",
		},
		door: []string{"internal/jose", "internal/randid"},
	},
	{
		room: []string{"mobileauth/envelope/pgp"},
		never: map[string]string{
			ours:       "it stands beside the envelope and knows nothing else",
			"net/http": "messages are the same however they travel",
		},
		door: []string{"mobileauth/envelope"},
	},
	{
		room: []string{"mobileauth/device"},
		never: map[string]string{
			ours: "an app vendor ports it: only the envelope and what that needs",
		},
		door: []string{"mobileauth/envelope"},
	},
	{
		room: []string{ours},
		but:  []string{"caddymodule/...", "cmd/...", "tests/...", "examples/..."},
		never: map[string]string{
			caddy[0]:          "below caddymodule nothing knows Caddy: flows are tested on httptest with a fake clock",
			caddy[1]:          "below caddymodule the logger is *slog.Logger",
			"caddymodule/...": "wiring is on top: nothing below it may need it",
		},
	},
	{
		room: []string{ours},
		but:  []string{"tests/..."},
		never: map[string]string{
			"tests/...":    "what ships does not need what tests it",
			"cmd/...":      "a command is used by people, not by packages",
			"math/rand":    "randomness comes from crypto/rand, also where it seems not to matter",
			"math/rand/v2": "randomness comes from crypto/rand, also where it seems not to matter",
		},
	},
	{
		room:  []string{ours},
		but:   []string{"internal/jose/...", "tests/..."},
		never: map[string]string{"github.com/go-jose/...": "the strict profile is internal/jose; the library is a detail of it"},
	},
	{
		room:  []string{ours},
		but:   []string{"mobileauth/envelope/pgp", "tests/..."},
		never: map[string]string{"github.com/ProtonMail/...": "OpenPGP has traps: one package knows them all"},
	},
	{
		room:  []string{ours},
		but:   []string{"storage/badgerstore/...", "tests/..."},
		never: map[string]string{"github.com/dgraph-io/...": "Badger is a detail of storage/badgerstore"},
	},
	{
		room:  []string{ours},
		but:   []string{"storage/pgstore/...", "authz/realm/database", "internal/pgdsn", "tests/..."},
		never: map[string]string{"github.com/jackc/...": "PostgreSQL is a detail of storage/pgstore, of the module that reads others' tables, and of what both are told"},
	},
	{
		room:  []string{ours},
		but:   []string{"authz/realm/database", "tests/..."},
		never: map[string]string{"modernc.org/...": "SQLite is a detail of the module that reads others' tables"},
	},
	{
		room:  []string{ours},
		but:   []string{"mobileauth/push/apns", "tests/..."},
		never: map[string]string{"github.com/sideshow/...": "the library has traps: one package knows them all"},
	},
	{
		room:  []string{ours},
		but:   []string{"authz/realm/ldap", "tests/..."},
		never: map[string]string{"github.com/go-ldap/...": "LDAP is a detail of the login module that speaks it"},
	},
	{
		room: []string{ours},
		but:  []string{"mobileauth/attestation/appattest", "mobileauth/attestation/testauthority", "tests/..."},
		never: map[string]string{
			"github.com/fxamacker/...": "CBOR is Apple's: one package reads it, and one makes it for tests",
		},
	},
	{
		room:  []string{ours},
		but:   []string{"mobileauth/phonenumber", "tests/..."},
		never: map[string]string{"github.com/nyaruka/...": "the plans of the world's countries are a detail of mobileauth/phonenumber"},
	},
	{
		room:  []string{ours},
		but:   []string{"authz/realm/webservice", "mobileauth/origin/locate", "tests/..."},
		never: map[string]string{"github.com/sony/...": "how a service is left alone is a detail of whoever asks it"},
	},
	{
		room:  []string{ours},
		but:   []string{"mobileauth/origin", "tests/..."},
		never: map[string]string{"github.com/mileusna/...": "how a browser describes itself is a detail of mobileauth/origin"},
	},
	{
		room: []string{ours},
		but:  []string{"mobileauth/origin/maxmind", "tests/..."},
		never: map[string]string{
			"github.com/oschwald/...": "the format of a file of places is a detail of mobileauth/origin/maxmind",
			"github.com/maxmind/...":  "files of places are made in tests",
		},
	},
	{
		room:  []string{ours},
		but:   []string{"internal/passhash", "tests/..."},
		never: map[string]string{"github.com/go-crypt/...": "which hashes there are elsewhere is known in internal/passhash alone"},
	},
	{
		room:  []string{ours},
		but:   []string{"caddymodule/...", "cmd/...", "tests/...", "examples/..."},
		never: map[string]string{"github.com/spf13/...": "a command line is wiring"},
	},
}, strangers(faces, "faces meet in stored records, never in each other's code"))

// strangers returns walls between packages of which none may import another.
func strangers(packages []string, reason string) []wall {
	var between []wall
	for _, name := range packages {
		never := map[string]string{}
		for _, other := range packages {
			if other != name {
				never[other+"/..."] = reason
			}
		}
		between = append(between, wall{room: []string{name + "/..."}, never: never})
	}
	return between
}

// checkWalls reports every import that crosses a wall, with the way it goes.
func checkWalls(t *tree) []finding {
	g := imports(t)
	var found []finding
	for _, w := range walls {
		found = append(found, w.check(g)...)
	}
	return found
}

func (w wall) check(g graph) []finding {
	var found []finding
	sorted(g, func(dir string, edges map[string]finding) {
		if !under(dir, w.room...) || under(dir, w.but...) {
			return
		}
		sorted(edges, func(target string, at finding) {
			if way, reason := w.crossing(g, target, map[string]bool{dir: true}); way != nil {
				found = append(found, finding{at.path, at.line, dir + " imports " + strings.Join(way, " → ") + ": " + reason})
			}
		})
	})
	return found
}

// crossing returns the way from target to something forbidden, target included, and the reason it is forbidden.
func (w wall) crossing(g graph, target string, seen map[string]bool) (way []string, reason string) {
	if seen[target] || under(target, w.door...) {
		return nil, ""
	}
	seen[target] = true
	_, own := g[target]
	if reason, forbidden := w.forbids(target, own); forbidden {
		return []string{target}, reason
	}
	sorted(g[target], func(next string, _ finding) {
		if _, own := g[next]; own && way == nil {
			if rest, why := w.crossing(g, next, seen); rest != nil {
				way, reason = append([]string{target}, rest...), why
			}
		}
	})
	return way, reason
}

func (w wall) forbids(target string, own bool) (reason string, forbidden bool) {
	sorted(w.never, func(pattern, why string) {
		if under(target, pattern) && (own || pattern != ours) {
			reason, forbidden = why, true
		}
	})
	return reason, forbidden
}
