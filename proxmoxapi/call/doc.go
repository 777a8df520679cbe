// Package call is the vocabulary between the HTTP front of the API and the rooms behind it: who calls ([Caller]), what a
// refusal looks like on the wire ([Error], [ParamErrors]), and the few answers that are more than a JSON value ([List], [Encoded],
// [Download], [Upload], [Stream]).
//
// It is not a framework: handlers are plain functions of a typed request, and any value that encoding/json can print is an answer.
package call
