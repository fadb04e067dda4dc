from hypothesis import settings

# The same examples in every run, and no time limit for one of them: the machines that run this differ in speed.
settings.register_profile('course_lib', deadline=None, derandomize=True)
settings.load_profile('course_lib')
