"""Tests of rules as people write them and read their outcome: files, reports, JUnit."""
