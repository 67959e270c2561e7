// Package deploy judges the Helm chart from outside: what it renders, over a
// matrix of values, with the checkers that people use; what a real API server
// says of it; and what the real StatefulSet controller does with it, when the
// pods are processes of the real binary.
//
// The programs for that are built by setup.sh. Without them (make deploy-test
// sets MAINSTEM_DEPLOY to where they are) everything is skipped.
package deploy
