"""What operating points promise and calibration gives, checked on the test folds of many seeds."""
