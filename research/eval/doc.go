// Package eval measures how well profiles are served: splits of people into those who make the bank
// and those who are new, the modes that are compared, their scores, and the files in which a run is
// kept.
package eval
