// SPDX-License-Identifier: Apache-2.0

package meter

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// The collectors live as long as the process: Caddy makes a new registry at each reload, and counters made with it would
// begin again at nought. No label names a user, a token or a path.
var (
	gateDecisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "gate_decisions_total", Help: "Decisions of protected routes by outcome.",
	}, []string{"outcome"})
	endpointRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "endpoint_requests_total", Help: "Requests to the issuer's endpoints by endpoint and status.",
	}, []string{"endpoint", "status"})
	streamsEnded = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "streams_ended_total", Help: "Requests under way at protected routes that were ended, by reason.",
	}, []string{"reason"})
	tokensIssued = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "token_requests_total", Help: "Token requests by grant type and outcome.",
	}, []string{"grant", "outcome"})
	realmAttempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "realm_attempts_total", Help: "Attempts to satisfy a realm by outcome.",
	}, []string{"realm", "outcome"})
	storeSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "gatehouse", Name: "store_transaction_seconds", Help: "Duration of store transactions.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
	}, []string{"op", "outcome"})
	servicesOpen = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "gatehouse", Name: "web_service_open", Help: "1 while a web service that judges logins is left alone, by host.",
	}, []string{"service"})
	deliveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "outbox_tries_total", Help: "Tries to deliver items of the outbox by kind and outcome.",
	}, []string{"kind", "outcome"})
	deliverySeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "gatehouse", Name: "outbox_delivered_seconds", Help: "Time from the cause of an outbox item to its delivery.",
		Buckets: prometheus.ExponentialBuckets(0.005, 5, 9), // to half an hour
	}, []string{"kind"})
	mobileSends = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "mobile_sends_total",
		Help: "Tries to send a notification or a message, and reports of what became of one, by channel, service and outcome.",
	}, []string{"channel", "service", "outcome"})
	mobileSendSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "gatehouse", Name: "mobile_send_seconds", Help: "How long push services and gateways took for what they accepted.",
		Buckets: prometheus.ExponentialBuckets(0.005, 3, 8),
	}, []string{"channel", "service"})
	mobileAnswers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "mobile_answers_total", Help: "Questions that ended, by type, method really used and outcome.",
	}, []string{"type", "method", "outcome"})
	mobileAnswerSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "gatehouse", Name: "mobile_answer_seconds", Help: "Time from a question to its answer, by channel.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 10),
	}, []string{"channel"})
	mobileAlerts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "mobile_alerts_total", Help: "Questions that ended by what somebody should look at, by reason.",
	}, []string{"reason"})
	originMissed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gatehouse", Name: "mobile_origin_missed_total", Help: "Messages shown without where they come from, by reason.",
	}, []string{"reason"})
	gauges = newGauges()
)

// Register adds the collectors to the registry of a configuration; a second time changes nothing.
func Register(registry *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{
		gateDecisions, streamsEnded, endpointRequests, tokensIssued, realmAttempts, storeSeconds, servicesOpen, deliveries, deliverySeconds,
		mobileSends, mobileSendSeconds, mobileAnswers, mobileAnswerSeconds, mobileAlerts, originMissed, gauges,
	} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

// Store observes a transaction of the store.
func Store(op string, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	storeSeconds.WithLabelValues(op, outcome).Observe(took.Seconds())
}

// Gate counts a decision of a protected route.
func Gate(outcome string) { gateDecisions.WithLabelValues(outcome).Inc() }

// Endpoint counts a request to an endpoint of the issuer.
func Endpoint(endpoint, status string) { endpointRequests.WithLabelValues(endpoint, status).Inc() }

// Token counts a token request.
func Token(grant, outcome string) { tokensIssued.WithLabelValues(grant, outcome).Inc() }

// Alert counts a question that ended by what somebody should look at.
func Alert(reason string) { mobileAlerts.WithLabelValues(reason).Inc() }

// StreamEnded counts a request under way that was ended.
func StreamEnded(reason string) { streamsEnded.WithLabelValues(reason).Inc() }

// Realm counts an attempt to satisfy a realm.
func Realm(realm, outcome string) { realmAttempts.WithLabelValues(realm, outcome).Inc() }

// Delivery observes a try of the outbox.
func Delivery(o outbox.Observation) {
	deliveries.WithLabelValues(o.Kind, string(o.Outcome)).Inc()
	if o.Outcome == outbox.Delivered {
		deliverySeconds.WithLabelValues(o.Kind).Observe(o.Age.Seconds())
	}
}

// Send observes a try to send a notification or a message, or a report of what became of one.
func Send(o delivery.Observation) {
	mobileSends.WithLabelValues(string(o.Channel), o.Service, string(o.Outcome)).Inc()
	if o.Outcome == delivery.Sent {
		mobileSendSeconds.WithLabelValues(string(o.Channel), o.Service).Observe(o.Took.Seconds())
	}
}

// Answer observes a question that ended.
func Answer(o *operation.Operation) {
	outcome := string(o.State)
	if o.State == operation.Denied || o.State == operation.Failed {
		outcome += "_" + o.Reason
	}
	mobileAnswers.WithLabelValues(o.Type, o.Method, outcome).Inc()
	if o.State == operation.Approved {
		mobileAnswerSeconds.WithLabelValues(string(o.Channel)).Observe(o.EndedAt.Sub(o.CreatedAt).Seconds())
	}
}

// OriginMissed counts a message that is shown without where it comes from.
func OriginMissed(reason string) { originMissed.WithLabelValues(reason).Inc() }

// Service tells whether a web service that judges logins is left alone, because it has failed too often.
func Service(name string, alone bool) {
	value := 0.0
	if alone {
		value = 1
	}
	servicesOpen.WithLabelValues(name).Set(value)
}
